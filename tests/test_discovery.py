"""Every file that lands is found and taken once, whatever its name, its time and its neighbours."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from flowforge_assets import sensors
from flowforge_assets.bronze import discovery, landing_tick, named_files
from flowforge_assets.bronze.landing_tick import Cursor, go_round
from flowforge_assets.formats.file_options import FileOptions
from flowforge_assets.table_spec import TableSpec
from flowforge_resources.io_managers import LakeResource
from flowforge_resources.lake import StoredObject
from flowforge_resources.layout import TableId, utc_now
from flowforge_resources.ledger import read_ledger
from flowforge_resources.local_writers import is_being_written
from scenario import checks, failures, land, leftovers, load, metadata, rows_of, run, run_well

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from flowforge_resources.lake import Lake

TABLE = TableId("shop", "items")
THOROUGH = bool(os.environ.get("FLOWFORGE_TEST_THOROUGH"))
HEADER = "item_id,label\n"
YAML = """
    type: flowforge_assets.components.Workflow
    attributes: {{description: A shop.{workflow}}}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: items
      columns: [{{name: item_id}}, {{name: label}}]
      keys: [item_id]{table}
"""


def items(folder: Path, workflow: str = "", **table: object) -> dg.Definitions:
    """A workflow of one table with some options."""
    options = "".join(f"\n      {name}: {value}" for name, value in table.items())
    return load(folder, YAML.format(workflow=workflow, table=options))


def files(*names: str, label: str = "x") -> dict[str, str]:
    """A file a name, whose one row has the name as its key."""
    return {f"items/{name}": f"{HEADER}{name},{label}\n" for name in names}


def in_silver(lake: Lake) -> dict[str, str]:
    return {row["item_id"]: row["label"] for row in rows_of(lake, TABLE.current)}


@dataclass(frozen=True)
class Tick:
    """What a look of the landing sensor came to."""

    requests: Sequence[dg.RunRequest]
    said: str
    cursor: str | None


def tick(defs: dg.Definitions, instance: dg.DagsterInstance, cursor: str | None = None) -> Tick:
    """One look of the landing sensor, as the daemon evaluates it."""
    repository = defs.get_repository_def()
    context = dg.build_sensor_context(
        instance=instance, cursor=cursor, repository_def=repository, resources={"lake": LakeResource()}
    )
    done = repository.get_sensor_def("shop_landing").evaluate_tick(context)
    return Tick(done.run_requests or (), done.skip_message or "", done.cursor)


@pytest.fixture
def instance() -> Any:
    with dg.DagsterInstance.ephemeral() as one:
        yield one


def run_requested(defs: dg.Definitions, instance: dg.DagsterInstance, result: Tick) -> dg.ExecuteInProcessResult:
    """What the daemon does with a tick's request."""
    (request,) = result.requests
    return run(defs, "shop", _shared(instance), tags=request.tags)


class _Shared:
    """An instance that outlives the run."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance

    def __enter__(self) -> dg.DagsterInstance:
        return self.instance

    def __exit__(self, *_: object) -> None:
        pass


def _shared(instance: dg.DagsterInstance) -> Any:
    return _Shared(instance)


# -- a file that cannot be read -------------------------------------------------------------------------------------


def test_the_rest_of_a_batch_is_taken_without_the_file_that_cannot_be_read(any_lake: Lake, tmp_path: Path) -> None:
    land(any_lake, "shop", {**files("a.csv", "b.csv"), "items/bad.csv": "colour,size\nred,1\n"})
    defs = items(tmp_path)

    result = run_well(defs, "shop")

    assert in_silver(any_lake) == {"a.csv": "x", "b.csv": "x"}
    check = checks(result)["bronze_items", "landing"]
    assert not check.passed
    assert "bad.csv was not taken (attempt 1 of 3; the next run tries again)" in (check.description or "")
    assert "item_id" in (check.description or "")
    assert metadata(result, "bronze_items")["files_failed"] == 1
    assert leftovers(any_lake) == []


def test_a_file_that_always_fails_is_set_aside_and_its_reason_stays_visible(lake: Lake, tmp_path: Path) -> None:
    land(lake, "shop", {**files("a.csv"), "items/bad.csv": "colour,size\nred,1\n"})
    defs = items(tmp_path, max_file_attempts=2)
    run_well(defs, "shop")
    second = run(defs, "shop")
    assert not second.success, "nothing but the bad file was there to take"
    assert "colour" in failures(second)

    third = run_well(defs, "shop")

    check = checks(third)["bronze_items", "landing"]
    assert "bad.csv is set aside after 2 attempts" in (check.description or "")
    assert "colour" in (check.description or "")
    land(lake, "shop", files("b.csv"))
    run_well(defs, "shop")
    assert in_silver(lake) == {"a.csv": "x", "b.csv": "x"}
    land(lake, "shop", files("bad.csv"))
    result = run_well(defs, "shop")
    assert set(in_silver(lake)) == {"a.csv", "b.csv", "bad.csv"}
    assert checks(result)["bronze_items", "landing"].passed


def test_a_file_that_was_set_aside_comes_back_when_files_are_read_otherwise(lake: Lake, tmp_path: Path) -> None:
    land(lake, "shop", {"items/a.csv": "article,label\n1,x\n"})
    first = items(tmp_path / "first", max_file_attempts=1)
    assert not run(first, "shop").success
    run_well(first, "shop")
    renamed = YAML.replace("{{name: item_id}}", "{{name: item_id, source: article}}").format(workflow="", table="")
    run_well(load(tmp_path / "second", renamed), "shop")
    assert in_silver(lake) == {"1": "x"}


def test_a_file_that_was_set_aside_comes_back_when_the_same_bytes_are_uploaded_again(
    s3_lake: Lake, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    defs = items(tmp_path, workflow=", max_attempts: 1", max_file_attempts=1)
    land(s3_lake, "shop", {"items/bad.csv": "colour\n1\n"})
    assert not run_requested(defs, instance, tick(defs, instance)).success
    monkeypatch.setattr(sensors, "_why_wait", lambda *_: None)
    assert "1 file(s) are set aside" in tick(defs, instance).said
    # The ETag is the same, because S3 makes it of the bytes.
    monkeypatch.setattr(StoredObject, "of", _an_hour_later)
    assert "colour" in failures(run_requested(defs, instance, tick(defs, instance)))
    assert "1 file(s) are set aside" in tick(defs, instance).said, "again"


def _an_hour_later(meta: Any) -> StoredObject:
    moment = meta["last_modified"] + timedelta(hours=1)
    return StoredObject(meta["path"], meta["e_tag"], meta["size"], moment)


def test_a_bad_file_does_not_hold_up_rows_that_silver_did_not_get_yet(lake: Lake, tmp_path: Path) -> None:
    defs = items(tmp_path)
    land(lake, "shop", files("a.csv"))
    run_well(defs, "shop", asset_selection=[dg.AssetKey(TABLE.bronze_key)])
    land(lake, "shop", {"items/bad.csv": "colour\nred\n"})
    result = run_well(defs, "shop")
    assert set(in_silver(lake)) == {"a.csv"}
    assert "bad.csv was not taken" in (checks(result)["bronze_items", "landing"].description or "")
    assert not run(defs, "shop").success


def test_many_bad_files_in_one_batch_are_all_named_and_all_others_taken(lake: Lake, tmp_path: Path) -> None:
    bad = {f"items/bad{number}.csv": f"colour\n{number}\n" for number in range(9)}
    good = files(*(f"{number}.csv" for number in range(9)))
    # Two that are unpacked on the way, each in a folder that no other try at any file has used.
    unpacked = {"j.csv": '[{"item_id": "j"}]', "t.csv": "| item_id | label |\n|---|---|\n| t | x |\n| u | x |\n"}
    land(lake, "shop", {**bad, **good, **{f"items/{name}": text for name, text in unpacked.items()}})
    result = run_well(items(tmp_path), "shop")
    assert len(in_silver(lake)) == 12
    assert metadata(result, "bronze_items")["files_failed"] == 9


def test_a_reader_that_stumbles_over_one_file_stumbles_over_that_file_alone(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from flowforge_assets.bronze import intake

    real = intake.ingest

    def stumbling(landed: Any, *args: Any, **options: Any) -> Any:
        if any(one.key.endswith("b.csv") for one in landed):
            raise ZeroDivisionError("secret value of a cell")
        return real(landed, *args, **options)

    monkeypatch.setattr(intake, "ingest", stumbling)
    land(lake, "shop", files("a.csv", "b.csv", "c.csv"))
    result = run_well(items(tmp_path), "shop")
    assert set(in_silver(lake)) == {"a.csv", "c.csv"}
    description = checks(result)["bronze_items", "landing"].description or ""
    assert "ZeroDivisionError" in description
    assert "secret" not in description


# -- limits ---------------------------------------------------------------------------------------------------------


def test_a_run_takes_no_more_files_than_it_may_the_oldest_first(lake: Lake, tmp_path: Path) -> None:
    assert lake.local_root is not None
    land(lake, "shop", files("c.csv", "a.csv", "b.csv"))
    for age, name in enumerate(("a.csv", "b.csv", "c.csv")):
        os.utime(lake.local_root / TABLE.landing / name, (1_700_000_000 - age, 1_700_000_000 - age))
    defs = items(tmp_path, max_files_per_run=2)
    first = run_well(defs, "shop")
    assert set(in_silver(lake)) == {"b.csv", "c.csv"}
    assert metadata(first, "bronze_items")["files_waiting"] == 1
    run_well(defs, "shop")
    assert set(in_silver(lake)) == {"a.csv", "b.csv", "c.csv"}


def test_a_run_takes_no_more_bytes_than_it_may_and_always_one_file(lake: Lake, tmp_path: Path) -> None:
    land(lake, "shop", files("a.csv", "b.csv", "c.csv"))
    size = len(files("a.csv")["items/a.csv"])
    run_well(items(tmp_path / "two", max_bytes_per_run=2 * size), "shop")
    assert len(in_silver(lake)) == 2
    land(lake, "shop", files("d.csv"))
    defs = items(tmp_path / "one", max_bytes_per_run=1)
    for expected in (3, 4):
        run_well(defs, "shop")
        assert len(in_silver(lake)) == expected


# -- names and half-written files -----------------------------------------------------------------------------------


def test_ignored_names_are_left_alone_without_a_word(any_lake: Lake, tmp_path: Path) -> None:
    names = ("_SUCCESS", "x.csv.tmp", ".a.csv.swp", "_temporary/0/part.csv", "_x.csv")
    land(any_lake, "shop", {**files("a.csv", *names)})
    result = run_well(items(tmp_path), "shop")
    assert set(in_silver(any_lake)) == {"a.csv"}
    assert checks(result)["bronze_items", "landing"].passed


def test_a_file_that_is_still_being_written_waits(lake: Lake, instance: dg.DagsterInstance, tmp_path: Path) -> None:
    assert lake.local_root is not None
    land(lake, "shop", files("a.csv"))
    defs = items(tmp_path)
    path = lake.local_root / TABLE.landing / "growing.csv"
    with path.open("w") as handle:
        handle.write(f"{HEADER}1,hal")
        handle.flush()
        if is_being_written(path) is None:
            pytest.skip("this system does not tell who writes a file")
        assert metadata(run_well(defs, "shop"), "bronze_items")["files_too_young"] == 1
        assert set(in_silver(lake)) == {"a.csv"}
        assert "still being written" in tick(defs, instance).said
        handle.write("f\n")
    assert tick(defs, instance).requests
    run_well(defs, "shop")
    assert in_silver(lake) == {"a.csv": "x", "1": "half"}


def test_a_file_younger_than_its_table_wants_waits_whatever_clock_dated_it(lake: Lake, tmp_path: Path) -> None:
    assert lake.local_root is not None
    land(lake, "shop", files("old.csv", "new.csv", "future.csv"))
    now = utc_now().timestamp()
    for name, moment in {"old.csv": now - 7200, "new.csv": now - 60, "future.csv": now + 10**8}.items():
        os.utime(lake.local_root / TABLE.landing / name, (moment, moment))
    run_well(items(tmp_path, min_age_s=3600), "shop")
    assert set(in_silver(lake)) == {"old.csv", "future.csv"}


def test_where_the_system_cannot_tell_a_young_local_file_waits(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(discovery, "is_being_written", lambda path: None)
    land(lake, "shop", files("a.csv"))
    defs = items(tmp_path)
    run_well(defs, "shop")
    assert in_silver(lake) == {}
    monkeypatch.setattr(discovery, "CAUTIOUS_AGE_S", 0.0)
    run_well(defs, "shop")
    assert set(in_silver(lake)) == {"a.csv"}


def test_a_file_that_changes_while_it_is_read_is_read_again(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from flowforge_assets.bronze import intake
    from flowforge_resources import retries

    monkeypatch.setattr(retries, "_FIRST_WAIT_S", 0.01)
    real, later = intake.ingest, [files("a.csv", label="after")]

    def meanwhile(*args: Any, **options: Any) -> Any:
        done = real(*args, **options)
        if later:
            land(lake, "shop", later.pop())
        return done

    monkeypatch.setattr(intake, "ingest", meanwhile)
    land(lake, "shop", files("a.csv", label="before"))
    run_well(items(tmp_path), "shop")
    assert in_silver(lake) == {"a.csv": "after"}
    assert read_ledger(lake, TABLE).version == 1


@pytest.mark.parametrize("kind", ["local", "s3"])
def test_a_file_that_is_gone_before_it_is_read_harms_nobody(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from flowforge_assets.bronze import landed

    lake: Lake = request.getfixturevalue("lake" if kind == "local" else "s3_lake")
    real = landed.within_limits

    def meanwhile(*args: Any, **options: Any) -> Any:
        lake.delete(f"{TABLE.landing}a.csv")
        return real(*args, **options)

    monkeypatch.setattr(landed, "within_limits", meanwhile)
    land(lake, "shop", files("a.csv", "b.csv"))
    run_well(items(tmp_path), "shop")
    assert set(in_silver(lake)) == {"b.csv"}


# -- uploaded again -------------------------------------------------------------------------------------------------


def bronze_rows(lake: Lake) -> int:
    return read_ledger(lake, TABLE).rows


def test_the_same_content_under_its_name_is_never_taken_again(any_lake: Lake, tmp_path: Path) -> None:
    defs = items(tmp_path)
    land(any_lake, "shop", files("a.csv"))
    run_well(defs, "shop")
    if any_lake.local_root is not None:
        os.utime(any_lake.local_root / TABLE.landing / "a.csv", (1, 1))
    land(any_lake, "shop", files("a.csv"))
    for _ in range(2):
        run_well(defs, "shop")
        assert bronze_rows(any_lake) == 1
    found = list(any_lake.objects(TABLE.landing))
    assert all(read_ledger(any_lake, TABLE).is_taken(one) for one in found)


@pytest.mark.parametrize(("on_change", "label", "rows"), [("append", "new", 2), ("skip", "old", 1)])
def test_other_content_under_a_name_is_appended_or_skipped(
    any_lake: Lake, tmp_path: Path, on_change: str, label: str, rows: int
) -> None:
    defs = items(tmp_path, on_change=on_change)
    land(any_lake, "shop", files("a.csv", label="old"))
    run_well(defs, "shop")
    land(any_lake, "shop", files("a.csv", label="new"))
    second = run_well(defs, "shop")
    run_well(defs, "shop")
    assert in_silver(any_lake) == {"a.csv": label}
    assert bronze_rows(any_lake) == rows
    if on_change == "skip":
        assert "on_change: skip" in (checks(second)["bronze_items", "landing"].description or "")


def test_content_that_returns_after_other_content_is_a_change_like_any_other(lake: Lake, tmp_path: Path) -> None:
    defs = items(tmp_path)
    for label in ("one", "two", "one"):
        land(lake, "shop", files("a.csv", label=label))
        run_well(defs, "shop")
        assert in_silver(lake) == {"a.csv": label}


def test_other_content_under_a_name_fails_the_run_where_that_is_declared(lake: Lake, tmp_path: Path) -> None:
    defs = items(tmp_path, on_change="fail")
    land(lake, "shop", files("a.csv", label="old"))
    run_well(defs, "shop")
    land(lake, "shop", {**files("a.csv", label="new"), **files("b.csv")})
    result = run(defs, "shop")
    assert not result.success
    assert "on_change: fail" in failures(result)
    assert set(in_silver(lake)) == {"a.csv"}
    lake.delete(f"{TABLE.landing}a.csv")
    run_well(defs, "shop")
    assert in_silver(lake) == {"a.csv": "old", "b.csv": "x"}


# -- the sensor -----------------------------------------------------------------------------------------------------


def test_ticks_go_round_in_steps_and_find_every_name(any_lake: Lake) -> None:
    names = {f"landing/shop/items/{number:02d}.csv" for number in range(7)}
    for name in names:
        any_lake.write(name, b"x")
    cursor, seen = Cursor(), []
    for _ in range(3):
        listed, cursor = go_round(any_lake, "shop", cursor, max_keys=3, now=utc_now())
        keys = [key for frame in listed for key in frame["key"]]
        assert len(keys) <= 3
        seen += keys
    assert set(seen) == names
    assert cursor.ended_at


def test_a_name_behind_the_cursor_a_deleted_one_and_a_changed_one_do_not_stop_the_round(lake: Lake) -> None:
    for number in range(4):
        lake.write(f"landing/shop/items/{number}.csv", b"x")
    listed, cursor = go_round(lake, "shop", Cursor(), max_keys=2, now=utc_now())
    assert cursor.after == "landing/shop/items/1.csv"
    lake.delete(cursor.after)
    lake.write("landing/shop/items/0 early.csv", b"x")
    lake.write("landing/shop/items/3.csv", b"changed")
    seen = [key for frame in listed for key in frame["key"]]
    for _ in range(3):
        listed, cursor = go_round(lake, "shop", cursor, max_keys=2, now=utc_now())
        seen += [key for frame in listed for key in frame["key"]]
    assert {key.rpartition("/")[2] for key in seen} == {"0.csv", "0 early.csv", "1.csv", "2.csv", "3.csv"}


@pytest.mark.parametrize("text", [None, "", "rubbish", "[]", '{"after": null}'])
def test_any_cursor_is_a_place_to_start(text: str | None) -> None:
    assert Cursor.parse(text) == Cursor()
    assert Cursor.parse(str(Cursor("a", "b"))) == Cursor("a", "b")


def test_all_files_are_taken_in_bounded_ticks_and_runs(
    lake: Lake, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    assert lake.local_root is not None
    defs = items(tmp_path, ", max_keys_per_tick: 3", max_files_per_run=2)
    names = [f"{number}.csv" for number in range(7)]
    land(lake, "shop", files(*names))
    for name in names:
        os.utime(lake.local_root / TABLE.landing / name, (10**9, 10**9))  # equal times, long ago
    cursor, runs = None, 0
    for _ in range(12):
        result = tick(defs, instance, cursor)
        cursor = result.cursor
        if result.requests:
            runs += 1
            assert run_requested(defs, instance, result).success
    assert set(in_silver(lake)) == set(names)
    assert runs == 5
    assert not tick(defs, instance).requests


def test_while_a_run_is_under_way_a_tick_looks_at_nothing_and_stays_where_it_is(
    lake: Lake, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    defs = items(tmp_path)
    land(lake, "shop", files("a.csv"))
    tags = tick(defs, instance).requests[0].tags
    run_id = instance.create_run_for_job(defs.resolve_job_def("shop"), tags=tags).run_id
    waiting = tick(defs, instance, str(Cursor("landing/shop/items/0.csv")))
    assert "under way" in waiting.said
    assert Cursor.parse(waiting.cursor).after == "landing/shop/items/0.csv"
    monkeypatch.setattr(sensors, "_ABANDONED_AFTER", timedelta(0))
    assert tick(defs, instance).requests, run_id


def test_after_failed_runs_ticks_wait_longer_each_time_and_give_up_on_the_same_files(
    lake: Lake, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    defs = items(tmp_path, ", max_attempts: 2", on_change="fail")
    land(lake, "shop", files("a.csv", label="old"))
    run_well(defs, "shop")
    land(lake, "shop", files("a.csv", label="new"))
    clock = [utc_now()]
    monkeypatch.setattr(sensors, "utc_now", lambda: clock[0])
    for attempt, pause_s in ((1, 30), (2, 60)):
        assert not run_requested(defs, instance, tick(defs, instance)).success
        clock[0] = utc_now() + timedelta(seconds=pause_s - 5)
        assert f"The last {attempt} run(s) failed" in tick(defs, instance).said
        clock[0] = utc_now() + timedelta(seconds=pause_s + 5)
    assert "2 runs for these files did not take them" in tick(defs, instance).said
    land(lake, "shop", files("b.csv"))
    assert tick(defs, instance).requests


def test_a_failed_file_is_offered_again_after_a_pause_and_not_when_it_is_set_aside(
    lake: Lake, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    defs = items(tmp_path, max_file_attempts=2)
    land(lake, "shop", {**files("a.csv"), "items/bad.csv": "colour\nred\n"})
    run_well(defs, "shop")
    said = tick(defs, instance).said
    assert "No new file" in said
    assert "1 file(s) could not be read and will be tried again: landing/shop/items/bad.csv" in said
    monkeypatch.setattr(sensors, "utc_now", lambda: utc_now() + timedelta(seconds=31))
    assert tick(defs, instance).requests
    assert not run(defs, "shop").success
    monkeypatch.setattr(sensors, "utc_now", lambda: utc_now() + timedelta(days=1))
    assert "1 file(s) are set aside after they failed: landing/shop/items/bad.csv" in tick(defs, instance).said


def test_files_of_no_table_are_named_by_the_tick(lake: Lake, instance: dg.DagsterInstance, tmp_path: Path) -> None:
    land(lake, "shop", {"itms/a.csv": "x", "loose.csv": "x", "_notes.txt": "x", "items/readme.md": "x"})
    message = tick(items(tmp_path), instance).said
    assert "3 file(s) belong to no table" in message
    assert "landing/shop/itms/a.csv" in message


def test_a_tick_asks_the_store_for_no_more_pages_than_its_limit_needs(
    s3_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        s3_lake.write(f"landing/shop/items/{number}.csv", b"x")
    asked: list[str | None] = []
    real = s3_lake.pages

    def counted(prefix: str, *, after: str | None = None, keys: int = 1000) -> Any:
        asked.append(after)
        return real(prefix, after=after, keys=keys)

    monkeypatch.setattr(s3_lake, "pages", counted)
    _, cursor = go_round(s3_lake, "shop", Cursor(), max_keys=2, now=utc_now())
    go_round(s3_lake, "shop", cursor, max_keys=2, now=utc_now())
    assert asked == [None, "landing/shop/items/1.csv"]
    assert landing_tick.window(s3_lake, "landing/shop/", after=None, limit=5).height == 5


def looked_at(result: dg.ExecuteInProcessResult) -> object:
    return metadata(result, "bronze_items").get("looked_at")


def test_a_run_looks_at_the_files_its_sensor_named_as_they_lie_there_then(
    any_lake: Lake, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    defs = items(tmp_path)
    land(any_lake, "shop", files("a.csv", "b.csv", "c.csv", label="first"))
    asked = tick(defs, instance)
    any_lake.delete(f"{TABLE.landing}b.csv")
    land(any_lake, "shop", {**files("c.csv", label="changed"), **files("bb.csv")})
    with monkeypatch.context() as patch:
        patch.setattr(discovery, "windows", None)
        first = run_requested(defs, instance, asked)
    assert first.success
    assert looked_at(first) == "3 file(s), named by the landing sensor"
    assert "looked at 3 file(s), which the landing sensor named; the sensor found nothing odd in the rest" in str(
        checks(first)["bronze_items", "landing"].description
    )
    assert in_silver(any_lake) == {"a.csv": "first", "c.csv": "changed"}
    again = run_requested(defs, instance, asked)
    assert again.success, "what was named is taken already"
    assert bronze_rows(any_lake) == 2

    monkeypatch.setattr(named_files, "MOST_CHARACTERS", 60)
    land(any_lake, "shop", files(*(f"deep/{number}.csv" for number in range(7))))
    asked = tick(defs, instance)
    land(any_lake, "shop", files("e.csv", "deep/3b.csv", "deep/7.csv"))
    spanned = run_requested(defs, instance, asked)
    span = f"{TABLE.landing}bb.csv to {TABLE.landing}deep/6.csv"
    assert looked_at(spanned) == f"{span}, named by the landing sensor"
    assert {"bb.csv", "deep/3b.csv", "deep/6.csv"} < set(in_silver(any_lake))
    assert not {"e.csv", "deep/7.csv"} & set(in_silver(any_lake))
    monkeypatch.setattr(named_files, "MOST_CHARACTERS", 10)
    assert looked_at(run_requested(defs, instance, tick(defs, instance))) is None
    assert len(in_silver(any_lake)) == 13
    assert bronze_rows(any_lake) == 13


def test_a_run_that_saw_a_part_of_landing_lets_the_check_of_the_whole_stand(
    lake: Lake, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    land(lake, "shop", {**files("a.csv", "b.csv"), "items/z.md": "a stranger"})
    assert not checks(run_well(items(tmp_path / "all"), "shop"))["bronze_items", "landing"].passed
    land(lake, "shop", {**files("0.csv"), "items/1.csv": HEADER})
    defs = items(tmp_path / "part", workflow=", max_keys_per_tick: 1")
    first = tick(defs, instance)
    well = run_requested(defs, instance, first)
    assert well.success
    assert ("bronze_items", "landing") not in checks(well), "z.md still lies there, and nobody looked"
    odd = checks(run_requested(defs, instance, tick(defs, instance, first.cursor)))["bronze_items", "landing"]
    assert "1.csv holds no row" in str(odd.description)
    assert "nothing else in the folder was looked at" in str(odd.description)


@pytest.mark.parametrize(
    ("table", "odd"),
    [
        ({"max_files_per_run": 1}, {}),
        ({"max_bytes_per_run": 30}, {}),
        ({"clean_source": "delete"}, {}),
        ({}, {"items/readme.md": "x"}),
        ({"max_file_attempts": 1}, {"items/bad.csv": "colour\n1\n"}),
        ({}, {"items/bad.csv": "colour\n1\n"}),
    ],
    ids=["files", "bytes", "cleaning", "stranger", "set aside", "failed"],
)
def test_a_run_lists_its_folder_where_more_is_to_be_said_of_it_than_what_is_new(
    lake: Lake, instance: dg.DagsterInstance, tmp_path: Path, table: dict[str, Any], odd: dict[str, str]
) -> None:
    defs = items(tmp_path, **table)
    land(lake, "shop", {**files("a.csv"), **odd})
    if odd:
        run_well(defs, "shop")
    land(lake, "shop", files("b.csv", "c.csv"))
    (request,) = tick(defs, instance).requests
    assert named_files.LOOK_TAG not in request.tags


@pytest.mark.parametrize(
    "text", ["", "rubbish", "[]", '{"items": 3}', '{"items": {}}', '{"items": []}', '{"other": ["a"]}']
)
def test_a_tag_that_names_nothing_of_a_table_is_as_none(text: str) -> None:
    spec = TableSpec(TABLE, "*", FileOptions(), (), (), (), "")
    assert named_files.named_for(spec, {named_files.LOOK_TAG: text}) is None
    assert named_files.named_for(spec, {}) is None


# -- cleaning up ----------------------------------------------------------------------------------------------------


def names(lake: Lake, prefix: str) -> set[str]:
    return {found.key.removeprefix(prefix) for found in lake.objects(prefix)}


@pytest.mark.parametrize("clean_source", ["keep", "move", "delete"])
def test_files_whose_rows_are_published_stay_move_or_go_as_declared(
    any_lake: Lake, tmp_path: Path, clean_source: str
) -> None:
    defs = items(tmp_path, clean_source=clean_source)
    land(any_lake, "shop", files("a.csv", "deep/er/b.csv"))
    content = any_lake.read(f"{TABLE.landing}a.csv")
    run_well(defs, "shop")
    assert names(any_lake, TABLE.landing) == {"a.csv", "deep/er/b.csv"}, "silver was not published yet"
    land(any_lake, "shop", files("c.csv"))

    run_well(defs, "shop")

    kept = {"keep": {"a.csv", "deep/er/b.csv", "c.csv"}}.get(clean_source, {"c.csv"})
    assert names(any_lake, TABLE.landing) == kept
    moved = {"move": {"a.csv", "deep/er/b.csv"}}.get(clean_source, set())
    assert names(any_lake, TABLE.landing_archive) == moved
    if moved:
        assert any_lake.read(f"{TABLE.landing_archive}a.csv") == content
    run_well(defs, "shop")
    assert set(in_silver(any_lake)) == {"a.csv", "deep/er/b.csv", "c.csv"}


def test_a_file_stays_until_silver_holds_its_rows(lake: Lake, tmp_path: Path) -> None:
    defs = items(tmp_path, clean_source="delete")
    land(lake, "shop", files("a.csv"))
    for _ in range(2):
        run_well(defs, "shop", asset_selection=[dg.AssetKey(TABLE.bronze_key)])
    assert names(lake, TABLE.landing) == {"a.csv"}
    for _ in range(2):
        run_well(defs, "shop")
    assert names(lake, TABLE.landing) == set()


def test_a_young_file_one_that_failed_and_one_uploaded_anew_stay(lake: Lake, tmp_path: Path) -> None:
    land(lake, "shop", {**files("a.csv"), "items/bad.csv": "colour\n1\n", "items/readme.md": "x"})
    run_well(items(tmp_path / "late", clean_source="delete", clean_source_after_days=1), "shop")
    for _ in range(3):
        run(items(tmp_path / str(utc_now().timestamp()), clean_source="delete", clean_source_after_days=1), "shop")
    assert "a.csv" in names(lake, TABLE.landing)
    land(lake, "shop", files("a.csv", label="new"))
    defs = items(tmp_path / "now", clean_source="delete", on_change="skip")
    for _ in range(3):
        run_well(defs, "shop")
    assert names(lake, TABLE.landing) == {"a.csv", "bad.csv", "readme.md"}


def test_two_contents_of_one_name_are_both_kept_in_the_archive(any_lake: Lake, tmp_path: Path) -> None:
    defs = items(tmp_path, clean_source="move")
    for label in ("one", "two"):
        land(any_lake, "shop", files("a.csv", label=label))
        for _ in range(2):
            run_well(defs, "shop")
        assert names(any_lake, TABLE.landing) == set()
    kept = {any_lake.read(found.key) for found in any_lake.objects(TABLE.landing_archive)}
    assert kept == {files("a.csv", label=label)["items/a.csv"].encode() for label in ("one", "two")}


def test_a_run_killed_between_copy_and_delete_is_followed_by_one_that_goes_on(any_lake: Lake, tmp_path: Path) -> None:
    defs = items(tmp_path, clean_source="move")
    land(any_lake, "shop", files("a.csv"))
    run_well(defs, "shop")
    any_lake.copy(f"{TABLE.landing}a.csv", f"{TABLE.landing_archive}a.csv")
    run_well(defs, "shop")
    assert names(any_lake, TABLE.landing) == set()
    assert names(any_lake, TABLE.landing_archive) == {"a.csv"}
    run_well(defs, "shop")
    assert in_silver(any_lake) == {"a.csv": "x"}


def test_many_files_with_new_columns_are_left_out_where_that_is_declared(lake: Lake, tmp_path: Path) -> None:
    defs = items(tmp_path, schema_evolution="fail_on_new_columns")
    land(lake, "shop", files("a.csv"))
    run_well(defs, "shop")
    wider = {f"items/wide{number}.csv": f"item_id,label,colour\n{number},x,red\n" for number in range(7)}
    land(lake, "shop", {**wider, **files("b.csv")})
    result = run_well(defs, "shop")
    assert set(in_silver(lake)) == {"a.csv", "b.csv"}
    assert metadata(result, "bronze_items")["files_failed"] == 7
    run_well(items(tmp_path / "open", stop_on_new_columns="false"), "shop")
    assert len(in_silver(lake)) == 9


class Stopped(BaseException):
    """What a kill is to the code it meets; nobody catches it."""


def test_a_run_stopped_before_any_change_of_the_lake_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a bad file, a checkpoint at each run, and files that are moved away; then two clean runs."""
    from flowforge_resources import ledger as ledger_module
    from flowforge_resources.lake import Lake

    monkeypatch.setattr(ledger_module, "ENTRIES_BETWEEN_CHECKPOINTS", 1)
    defs = items(tmp_path, clean_source="move")
    calls = ("create", "write", "delete", "put_new", "swap", "copy")
    real = {name: getattr(Lake, name) for name in calls}
    contacts, stop_at = [0], [10**6]

    def watched(name: str) -> Any:
        def contact(*args: Any, **options: Any) -> Any:
            contacts[0] += 1
            if contacts[0] == stop_at[0]:
                raise Stopped
            return real[name](*args, **options)

        return contact

    def day(at: int) -> Lake:
        monkeypatch.setenv("FLOWFORGE_LAKE_URL", str(tmp_path / f"lake-{at}"))
        lake = Lake()
        land(lake, "shop", files("a.csv"))
        run_well(defs, "shop")
        land(lake, "shop", {**files("b.csv"), "items/bad.csv": "colour\nred\n"})
        contacts[0], stop_at[0] = 0, at
        with monkeypatch.context() as patch:
            for name in calls:
                patch.setattr(Lake, name, watched(name))
            with suppress(Stopped):
                run(defs, "shop")
        stop_at[0] = 10**6
        return lake

    day(10**6)
    total = contacts[0]
    assert total > 5
    for at in range(1, total + 1, 1 if THOROUGH else 4):
        lake = day(at)
        for _ in range(2):
            run(defs, "shop")
        assert in_silver(lake) == {"a.csv": "x", "b.csv": "x"}, at
        assert bronze_rows(lake) == 2, at
        assert names(lake, TABLE.landing) | names(lake, TABLE.landing_archive) == {"a.csv", "b.csv", "bad.csv"}, at
        assert "bad.csv" in names(lake, TABLE.landing), at
        # Scratch goes with its process, which is this one.
        assert [left for left in leftovers(lake) if "/.scratch/" not in left] == [], at
