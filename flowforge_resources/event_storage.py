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
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import dagster
import sqlalchemy
from dagster import _check as check
from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS, EVENT_TYPE_TO_PIPELINE_RUN_STATUS
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# A process writes to its run's database and to the index; the web server and daemon also read a few other runs'.
KEPT_OPEN = 8
# Dagster's own switch for `store_event_batch`. A run of 20 assets with 60 checks plans 80 events, of 3 ms one by one.
_BATCH_SIZE, _MOST_AT_ONCE = "DAGSTER_EVENT_BATCH_SIZE", "1000"

_INSERT = SqlEventLogStorageTable.insert()
# Dagster's SQLite log keeps these twice: with their run, and in one database that is asked about all runs.
_ALSO_IN_THE_INDEX = {kind.value for kind in (*ASSET_EVENTS, *ASSET_CHECK_EVENTS, *EVENT_TYPE_TO_PIPELINE_RUN_STATUS)}

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


def _put_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Make a file whole or not at all.

    Raises:
        OSError: another process was first, or links cannot be made here.
    """
    half = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        write(half)
        os.link(half, path)
    finally:
        half.unlink(missing_ok=True)


class WarmSqliteEventLogStorage(SqliteEventLogStorage):
    """The event log of `DAGSTER_HOME`, for one machine."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._warm: OrderedDict[str, sqlalchemy.Engine] = OrderedDict()
        self._open: dict[str, sqlalchemy.Connection] | None = None
        self._transactions = ExitStack()
        self._there: set[tuple[str, str]] = set()
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
        """Write events, all of them or none.

        As Dagster's `store_event` for each of them, but for its statements, which it builds and compiles for every event.
        """
        rows = [self._row(event) for event in events]
        with self._together():
            for run_id, its in groupby(rows, key=itemgetter("run_id")):
                with self.run_connection(run_id) as connection:
                    connection.execute(_INSERT, list(its))
            for event, row in zip(events, rows, strict=True):
                if row["dagster_event_type"] in _ALSO_IN_THE_INDEX:
                    self._note_in_index(event, row)
        for run_id in {event.run_id for event in events}:
            os.utime(self.path_for_shard(run_id))

    def _row(self, event: Any) -> dict[str, Any]:
        check.inst_param(event, "event", EventLogEntry)
        return self._event_to_row(event)

    def _note_in_index(self, event: Any, row: dict[str, Any]) -> None:
        with self.index_connection() as connection:
            event_id = connection.execute(_INSERT, row).lastrowid
            if event.dagster_event_type in ASSET_EVENTS:
                self._store_asset_event_tags(connection, [event], [event_id])
                self._store_asset_event(connection, event, event_id)
            elif event.dagster_event_type in ASSET_CHECK_EVENTS:
                self.store_asset_check_event(event, event_id)

    # -- what stays true once it is: Dagster asks the database at every event ---------------------------------------

    def has_table(self, table_name: str) -> bool:
        """Whether the index has a table."""
        return self._once("table", table_name, super().has_table)

    def has_secondary_index(self, name: str) -> bool:
        """Whether a migration of the index is done."""
        return self._once("migration", name, super().has_secondary_index)

    def has_asset_key_col(self, column_name: str) -> bool:
        """Whether the index's table of assets has a column."""
        return self._once("column", column_name, super().has_asset_key_col)

    def _has_asset_key_col_on_connection(self, conn: sqlalchemy.Connection, column_name: str) -> bool:
        ask = partial(super()._has_asset_key_col_on_connection, conn)
        return self._once("column", column_name, ask)

    def _once(self, kind: str, name: str, ask: Callable[[str], bool]) -> bool:
        if (kind, name) not in self._there and ask(name):
            self._there.add((kind, name))
        return (kind, name) in self._there

    # -- databases kept open ----------------------------------------------------------------------------------------

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
            self._make(shard, engine)
            self._initialized_dbs.add(shard)
        with engine.connect() as connection, connection.begin():
            yield connection

    def _make(self, shard: str, engine: sqlalchemy.Engine) -> None:
        """A run's database is a copy of a blank one: to make its tables anew costs 75 ms, most of it Alembic's."""
        path = Path(self.path_for_shard(shard))
        if shard != INDEX_SHARD_NAME and not path.exists():
            blank = path.parent.parent / "blank" / f"{dagster.__version__}.db"
            with suppress(OSError):
                if not blank.exists():
                    blank.parent.mkdir(exist_ok=True)
                    _put_whole(blank, self._make_blank)
                _put_whole(path, partial(shutil.copyfile, blank))
                return
        self._initdb(engine)

    def _make_blank(self, path: Path) -> None:
        engine = sqlalchemy.create_engine(f"sqlite:///{path}")
        self._initdb(engine)
        engine.dispose()  # its write-ahead log is part of the file from here on

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
