"""Dagster's SQLite event log with its connections kept open: an event costs a third of what it does otherwise.

Dagster's own opens and closes a connection for every read and write, with a new engine each time, so that every
statement is compiled anew and every close checkpoints the write-ahead log. That is most of the cost of a small run.
This keeps the engines of the last few databases, and writes what belongs together in one transaction a database: an
event with its entry in the index, and all that a run plans to do. Everything else is Dagster's, and
`tests/test_event_storage.py` pins the private shapes this rests on. Chosen in `dagster.yaml`; nothing depends on it.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import threading
from collections import OrderedDict
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# A process writes to its run's database and to the index; the web server and daemon also read a few other runs'.
KEPT_OPEN = 8
# Dagster's own switch for `store_event_batch`. A run of 20 assets with 60 checks plans 80 events, of 3 ms one by one.
_BATCH_SIZE, _MOST_AT_ONCE = "DAGSTER_EVENT_BATCH_SIZE", "1000"

_TEMPORARY_HOME = "FLOWFORGE_TEMPORARY_DAGSTER_HOME"


def _home() -> Path:
    """DAGSTER_HOME; for a command run without one a folder that lives as long as the command and its children."""
    given = os.environ.get("DAGSTER_HOME") or os.environ.get(_TEMPORARY_HOME)
    if not given:
        given = os.environ[_TEMPORARY_HOME] = tempfile.mkdtemp(prefix="flowforge-events-")
        atexit.register(shutil.rmtree, given, ignore_errors=True)
    return Path(given)


def _without_waiting_for_the_disk(connection: Any, _record: Any) -> None:
    """A killed process loses nothing by this; a power cut may lose the last events, and never the database."""
    connection.execute("PRAGMA synchronous=NORMAL")


class WarmSqliteEventLogStorage(SqliteEventLogStorage):
    """The event log of `DAGSTER_HOME`, for one machine."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._warm: OrderedDict[str, sqlalchemy.Engine] = OrderedDict()
        self._open: dict[str, sqlalchemy.Connection] | None = None
        self._transactions = ExitStack()
        self._tables: set[str] = set()
        super().__init__(*args, **kwargs)
        self._db_lock: Any = threading.RLock()  # Dagster's own cannot be taken twice by one thread

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Nothing to say: it lies in DAGSTER_HOME."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> WarmSqliteEventLogStorage:
        """As named in `dagster.yaml`; the files lie where Dagster's own would put them."""
        del config_value
        os.environ.setdefault(_BATCH_SIZE, _MOST_AT_ONCE)
        return cls(inst_data=inst_data, base_dir=str(_home() / "history" / "runs"))

    def store_event(self, event: Any) -> None:
        """Write an event, and let the web UI's file watcher see it: the write-ahead log is not what it watches."""
        self.store_event_batch([event])

    def store_event_batch(self, events: Sequence[Any]) -> None:
        """Write events, all of them or none."""
        with self._together():
            for event in events:
                super().store_event(event)
        for run_id in {event.run_id for event in events}:
            os.utime(self.path_for_shard(run_id))

    def has_table(self, table_name: str) -> bool:
        """Whether the index has a table: Dagster opens the database anew to ask, and asks at every event of a check."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Whatever this thread writes meanwhile is one transaction a database; other threads wait."""
        with self._db_lock, ExitStack() as self._transactions:
            self._open = {}
            try:
                yield
            finally:
                self._open = None

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sqlalchemy.Connection]:
        with self._db_lock:
            if self._open is None:
                with self._transaction(shard) as connection:
                    yield connection
                return
            if shard not in self._open:
                self._open[shard] = self._transactions.enter_context(self._transaction(shard))
            yield self._open[shard]

    @contextmanager
    def _transaction(self, shard: str) -> Iterator[sqlalchemy.Connection]:
        engine = self._engine(shard)
        if shard not in self._initialized_dbs:
            self._initdb(engine)
            self._initialized_dbs.add(shard)
        with engine.connect() as connection, connection.begin():
            yield connection

    def _engine(self, shard: str) -> sqlalchemy.Engine:
        if shard not in self._warm:
            self._warm[shard] = sqlalchemy.create_engine(
                self.conn_string_for_shard(shard),
                connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
            )
            sqlalchemy.event.listen(self._warm[shard], "connect", _without_waiting_for_the_disk)
        self._warm.move_to_end(shard)
        while len(self._warm) > KEPT_OPEN:
            self._warm.popitem(last=False)[1].dispose()
        return self._warm[shard]

    def delete_events(self, run_id: str) -> None:
        """Forget a run; its database is closed before its file goes."""
        if run_id in self._warm:
            self._warm.pop(run_id).dispose()
        super().delete_events(run_id)

    def dispose(self) -> None:
        """Close every database."""
        while self._warm:
            self._warm.popitem()[1].dispose()
        super().dispose()
