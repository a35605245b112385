"""The warm event log is Dagster's own in everything but speed; here stand the private shapes it rests on."""

import inspect
import os
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from unittest.mock import Mock

import dagster as dg
import pytest
from dagster._check import CheckError
from dagster._core.instance.methods.event_methods import EventMethods
from dagster._core.storage.event_log import SqlEventLogStorage, SqliteEventLogStorage

from flowforge_resources.event_storage import KEPT_OPEN, WarmSqliteEventLogStorage

RUN = "11111111-1111-1111-1111-111111111111"


@dg.asset
def one() -> None:
    """An asset."""


@dg.asset
def two() -> None:
    """Another."""


@pytest.fixture
def instance(tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text(
        "event_log_storage:\n  module: flowforge_resources.event_storage\n  class: WarmSqliteEventLogStorage\n"
    )
    with dg.DagsterInstance.get() as found:
        yield found


def test_dagster_still_has_the_shapes_this_rests_on():
    source = inspect.getsource(SqliteEventLogStorage._connect)
    for shape in ("_db_lock", "conn_string_for_shard", "_initialized_dbs", "_initdb"):
        assert shape in source
    assert list(inspect.signature(SqliteEventLogStorage._connect).parameters) == ["self", "shard"]
    assert "path_for_shard" in dir(SqliteEventLogStorage)
    assert "self.has_table(" in inspect.getsource(SqlEventLogStorage.supports_asset_checks.fget)
    assert "self._event_storage_impl.store_event_batch(events)" in inspect.getsource(EventMethods.handle_new_event)


def test_what_a_run_plans_is_written_at_once_and_its_events_one_by_one(instance, monkeypatch):
    written = []
    real = WarmSqliteEventLogStorage.store_event_batch

    def remember(self, events):
        written.append([event.dagster_event_type for event in events if event.is_dagster_event])
        real(self, events)

    monkeypatch.setattr(WarmSqliteEventLogStorage, "store_event_batch", remember)
    planned = dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
    run = dg.materialize([one, two], instance=instance)
    assert [planned, planned] in written
    assert all(len(batch) == 1 for batch in written if planned not in batch)
    assert {key for key in (one.key, two.key) if instance.get_latest_materialization_event(key)} == {one.key, two.key}
    assert len(instance.all_logs(run.run_id, of_type=planned)) == len([one, two])


def test_events_written_at_once_are_all_there_or_none(tmp_path):
    storage = WarmSqliteEventLogStorage(str(tmp_path / "runs"))
    storage.store_event(_event(RUN))
    with pytest.raises(CheckError):
        storage.store_event_batch([_event(RUN), "no event"])
    assert len(storage.get_logs_for_run(RUN)) == 1
    storage.store_event_batch([_event(RUN), _event(RUN)])
    assert len(storage.get_logs_for_run(RUN)) == 3
    storage.dispose()


def test_a_table_is_asked_for_until_it_is_there(tmp_path, monkeypatch):
    storage, asked = WarmSqliteEventLogStorage(str(tmp_path / "runs")), []
    there = iter([False, True])
    monkeypatch.setattr(SqliteEventLogStorage, "has_table", lambda _self, name: asked.append(name) or next(there))
    assert [storage.has_table("checks") for _ in range(4)] == [False, True, True, True]
    assert asked == ["checks", "checks"]
    storage.dispose()


def test_tables_hold_what_dagsters_own_storage_would_have_written(instance, tmp_path):
    @dg.multi_asset(
        specs=[dg.AssetSpec("table", code_version="1")],
        check_specs=[dg.AssetCheckSpec("whole", asset="table"), dg.AssetCheckSpec("fresh", asset="table")],
    )
    def table():
        yield dg.MaterializeResult(asset_key="table", metadata={"rows": 3}, tags={"kind": "day"})
        yield dg.AssetCheckResult(check_name="whole", passed=True)
        yield dg.AssetCheckResult(check_name="fresh", passed=False, severity=dg.AssetCheckSeverity.WARN)

    run = dg.materialize([table, one], instance=instance)
    events = instance.all_logs(run.run_id)
    dumps = []
    for kind in (WarmSqliteEventLogStorage, SqliteEventLogStorage):
        storage = kind(str(tmp_path / kind.__name__ / "runs"))
        for event in events:
            storage.store_event(event)
        storage.dispose()
        dumps.append([_content(tmp_path / kind.__name__ / "runs" / f"{name}.db") for name in (run.run_id, "index")])
    assert dumps[0] == dumps[1]
    assert len(dumps[0][0]["event_logs"]) == len(events)
    assert len(dumps[0][1]["asset_check_executions"]) == len(["whole", "fresh"])


def test_the_database_of_a_run_is_a_copy_of_a_blank_one(tmp_path, monkeypatch):
    made = []
    real = SqliteEventLogStorage._initdb
    monkeypatch.setattr(
        SqliteEventLogStorage, "_initdb", lambda self, *args, **kw: made.append(1) or real(self, *args, **kw)
    )
    storage = WarmSqliteEventLogStorage(str(tmp_path / "runs"))
    storage.store_event(_event(RUN))
    before = len(made)
    other = RUN.replace("1", "2")
    storage.store_event(_event(other))
    assert len(made) == before
    assert [len(storage.get_logs_for_run(run_id)) for run_id in (RUN, other)] == [1, 1]
    storage.dispose()
    assert not list((tmp_path / "runs").glob(".*"))
    with closing(sqlite3.connect(tmp_path / "runs" / f"{other}.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchall() == [("wal",)]


def test_where_no_copy_can_be_made_the_tables_are_made_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", Mock(side_effect=PermissionError("no links here")))
    storage = WarmSqliteEventLogStorage(str(tmp_path / "runs"))
    storage.store_event(_event(RUN))
    assert len(storage.get_logs_for_run(RUN)) == 1
    storage.dispose()


def test_threads_may_write_and_read_at_once(tmp_path):
    storage = WarmSqliteEventLogStorage(str(tmp_path / "runs"))
    runs = [RUN, RUN.replace("1", "2")]

    def write(run_id):
        for _ in range(20):
            storage.store_event_batch([_event(run_id), _event(run_id)])
            storage.get_logs_for_run(RUN)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, [*runs, *runs]))
    assert [len(storage.get_logs_for_run(run_id)) for run_id in runs] == [80, 80]
    storage.dispose()


def test_runs_are_remembered_and_their_files_lie_where_dagsters_own_would_put_them(instance, tmp_path):
    run = dg.materialize([one], instance=instance)
    storage = instance.event_log_storage
    assert isinstance(storage, WarmSqliteEventLogStorage) or isinstance(storage._storage, WarmSqliteEventLogStorage)
    with dg.DagsterInstance.get() as another:
        assert another.get_latest_materialization_event(one.key).run_id == run.run_id
    assert (tmp_path / "history" / "runs" / f"{run.run_id}.db").exists()


def test_dagsters_own_storage_reads_what_this_one_wrote(instance, tmp_path):
    run = dg.materialize([one], instance=instance)
    theirs = SqliteEventLogStorage(str(tmp_path / "history" / "runs"))
    assert len(theirs.get_logs_for_run(run.run_id)) == len(instance.all_logs(run.run_id))


def test_only_a_few_databases_stay_open_and_a_deleted_run_is_gone(instance, tmp_path):
    runs = [dg.materialize([one], instance=instance).run_id for _ in range(KEPT_OPEN + 2)]
    assert all(instance.all_logs(run) for run in runs)
    instance.delete_run(runs[-1])
    assert not instance.all_logs(runs[-1])
    storage = WarmSqliteEventLogStorage(str(tmp_path / "history" / "runs"))
    for run in runs[:-1]:
        storage.get_logs_for_run(run)
    assert len(storage._warm) <= KEPT_OPEN
    storage.dispose()


def test_a_watcher_in_another_process_would_see_an_event_at_once(tmp_path):
    base = str(tmp_path / "runs")
    writer, reader, seen = WarmSqliteEventLogStorage(base), WarmSqliteEventLogStorage(base), threading.Event()
    writer.store_event(_event(RUN))
    reader.watch(RUN, None, lambda *_: seen.set())
    writer.store_event(_event(RUN))
    assert seen.wait(timeout=20)
    reader.dispose()
    writer.dispose()


def _content(path) -> dict[str, list[dict]]:
    """Every row of every table of a database, but for the moments at which rows were made."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
        found = {name: connection.execute(f'SELECT * FROM "{name}"').fetchall() for (name,) in tables}
    moments = {"create_timestamp", "migration_completed"}
    return {
        name: [{column: row[column] for column in row.keys() if column not in moments} for row in rows]  # noqa: SIM118  # no mapping
        for name, rows in found.items()
    }


def _event(run_id: str) -> dg.EventLogEntry:
    return dg.EventLogEntry(
        error_info=None,
        level=20,
        user_message="said",
        run_id=run_id,
        timestamp=1.0,
        step_key=None,
        job_name="j",
        dagster_event=None,
    )
