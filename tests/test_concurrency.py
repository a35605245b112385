"""Two runs on one lake at once end as if one had waited for the other."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from dagster._core.op_concurrency_limits_counter import GlobalOpConcurrencyLimitsCounter

from flowforge_assets.silver.version_facts import next_version
from flowforge_resources import retries
from flowforge_resources.duck import connect, literal
from flowforge_resources.history import versions
from flowforge_resources.lake import Lake
from flowforge_resources.layout import TableId
from flowforge_resources.ledger import read_ledger
from flowforge_resources.published import copy_with_facts, read_published
from flowforge_resources.silver_io_manager import SilverIOManager
from forker import Forker
from remote import Remote, remote
from scenario import (
    SHOP_DAY1,
    SHOP_DAY2,
    contested,
    land,
    land_day,
    leftovers,
    objects,
    rows_of,
    run_well,
    shop,
    state,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def two() -> Iterator[tuple[Forker, Forker]]:
    with Forker() as one, Forker() as other:
        yield one, other


def together(two: tuple[Forker, Forker], root: Path, workflow: str) -> list[dict[str, Any]]:
    for forker in two:
        forker.ask({"lake": str(root), "workflow": workflow})
    return [forker.answer() for forker in two]


def taken_twice(lake: Lake) -> list[str]:
    """Landing files that two bronze files hold."""
    tables = {tuple(found.key.split("/")[1:3]) for found in lake.objects("bronze/")}
    taken = [
        file.key
        for workflow, table in tables
        for entry in read_ledger(lake, TableId(workflow, table)).entries
        for file in entry.files
    ]
    return sorted({key for key in taken if taken.count(key) > 1})


@pytest.mark.parametrize("attempt", range(2))
def test_two_runs_of_a_small_workflow_started_together_leave_what_one_leaves(
    two: tuple[Forker, Forker], tmp_path: Path, lake: Lake, attempt: int
) -> None:
    defs = shop(tmp_path / "project")
    root = tmp_path / "together"
    for files in (SHOP_DAY1, SHOP_DAY2):
        for place in (lake, Lake(str(root))):
            land(place, "shop", files)
        run_well(defs, "shop")
        for done in together(two, root, "shop"):
            assert done["status"] == 0, done["said"]
        assert state(Lake(str(root))) == state(lake)
    assert taken_twice(Lake(str(root))) == []
    assert leftovers(Lake(str(root))) == []
    before = objects(Lake(str(root)))
    assert two[0].run(root, "shop")["status"] == 0
    assert objects(Lake(str(root))) == before


def test_two_runs_of_the_sample_workflow_started_together_leave_what_one_leaves(
    two: tuple[Forker, Forker], tmp_path: Path, two_days: dict[str, Any]
) -> None:
    root = tmp_path / "together"
    for day in ("day1", "day2"):
        land_day(Lake(str(root)), day)
        for done in together(two, root, "retail"):
            assert done["status"] == 0, done["said"]
        assert state(Lake(str(root))) == two_days[f"{day} state"]
    assert taken_twice(Lake(str(root))) == []
    assert leftovers(Lake(str(root))) == []


# -- many updates of one table ----------------------------------------------------------------------------------------

COUNTS = TableId("contested", "counts")
ROUNDS = 4


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    with remote(tmp_path_factory.mktemp("scratch")) as started:
        yield started


def land_counts(lake: Lake) -> dict[str, int]:
    """A file for every run of every round, each with a key of its own and one that all write; the last one wins."""
    files = range(2 * ROUNDS)
    for number in files:
        land(lake, "contested", {f"counts/{number:03d}.csv": f"key,value\nown-{number},{number}\nshared,{number}\n"})
    return {**{f"own-{number}": number for number in files}, "shared": max(files)}


def nothing_was_lost(lake: Lake, expected: dict[str, int]) -> None:
    """Every file's rows are in the table, and every version was made from the one before it."""
    assert {row["key"]: row["value"] for row in rows_of(lake, COUNTS.current)} == expected
    newest_first = versions(lake, COUNTS)
    assert [one.number for one in newest_first] == list(range(len(newest_first), 0, -1))
    for version, before in pairwise(newest_first):
        assert version.facts["replaces"]["nonce"] == before.published.nonce
        inserted = version.facts["books"].get("inserted", 0)
        assert version.published.rows == before.published.rows + inserted
    merged = [tuple(one.facts["bronze"]) for one in reversed(newest_first)]
    ledger = read_ledger(lake, COUNTS)
    merged_in = [number for first, last in merged for number in range(first, last + 1)]
    # A fence around the file of the other run, still on its way, is an entry of no rows, which a version need not name.
    fences = {entry.version for entry in ledger.entries if entry.fenced and not entry.rows}
    assert merged_in == sorted(set(merged_in))
    assert set(range(1, ledger.version + 1)) - set(merged_in) <= fences


@pytest.mark.parametrize("kind", ["local", "s3"])
def test_two_processes_that_upsert_one_table_again_and_again_lose_no_update(
    kind: str, two: tuple[Forker, Forker], tmp_path: Path, server: Remote
) -> None:
    env = server.env("contested") if kind == "s3" else {}
    lake = server.lake("contested") if kind == "s3" else Lake(str(tmp_path / "contested"))
    url = env.get("FLOWFORGE_LAKE_URL", str(tmp_path / "contested"))
    expected = land_counts(lake)
    for _ in range(ROUNDS):
        for forker in two:
            forker.ask({"lake": url, "workflow": "contested", "env": env})
    for _ in range(ROUNDS):
        for done in (forker.answer() for forker in two):
            assert done["status"] == 0, done["said"]
    nothing_was_lost(lake, expected)
    assert leftovers(lake) == []


def publish_again(lake: Lake) -> None:
    """What another run does that changes some other row: the next version, of the same bronze."""
    published = read_published(lake, COUNTS.current)
    assert published is not None
    with lake.scratch() as scratch, connect(scratch.root) as connection:
        now, path = lake.stage_in(COUNTS.current, scratch), scratch.path(".parquet")
        facts = {**published.facts, **next_version(published, published.facts["bronze_version"])}
        connection.execute(copy_with_facts(f"FROM read_parquet({literal(str(now))})", path, facts))
        lake.publish(path, COUNTS.current)


def test_a_run_that_loses_the_race_is_done_again_from_its_read(
    any_lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it merged into the version that is gone is thrown away, and merged into the one that came between."""
    monkeypatch.setattr(retries, "_FIRST_WAIT_S", 0.01)
    defs = contested(tmp_path)
    land_counts(any_lake)
    run_well(defs, "contested")
    real, lost = SilverIOManager._swap, []

    def overtaken(self: SilverIOManager, *args: Any) -> None:
        if len(lost) < 5:  # more often than any other failure is tried again
            lost.append(True)
            publish_again(any_lake)
        real(self, *args)

    monkeypatch.setattr(SilverIOManager, "_swap", overtaken)
    result = run_well(defs, "contested")
    retried = [event for event in result.all_events if event.event_type_value == "STEP_UP_FOR_RETRY"]
    assert len(retried) == 5
    assert {row["key"]: row["value"] for row in rows_of(any_lake, COUNTS.current)} == {
        "own-0": 0,
        "own-1": 1,
        "shared": 1,
    }
    assert versions(any_lake, COUNTS)[0].number == 1 + 5 + 1


# -- pools ------------------------------------------------------------------------------------------------------------


def test_everything_that_writes_a_table_is_in_the_pool_of_that_table(tmp_path: Path) -> None:
    assets = shop(tmp_path).resolve_asset_graph().assets_defs
    pools = {one.key.path[-1]: one.op.pool for one in assets if one.is_executable}
    assert pools == {
        "bronze_items": "flowforge/shop/items",
        "silver_items": "flowforge/shop/items",
        "bronze_sales": "flowforge/shop/sales",
        "silver_sales": "flowforge/shop/sales",
        "dim_item": "flowforge/shop/dim_item",
        "fact_sales": "flowforge/shop/fact_sales",
        "gold_published": "flowforge/shop/gold_published",
    }


def test_the_daemon_leaves_a_run_in_the_queue_while_another_has_its_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the settings we ship. Dagster limits a pool from the second look on, because the first one registers it."""
    (tmp_path / "home").mkdir()
    shutil.copy(Path(__file__).parent.parent / "dagster.yaml", tmp_path / "home")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    (tmp_path / "project").mkdir()
    job = shop(tmp_path / "project").resolve_job_def("shop")
    with dg.DagsterInstance.get() as instance:
        at_work = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
        waiting = instance.create_run_for_job(job)
        storage, pools = instance.event_log_storage, instance.get_concurrency_config().pool_config

        def held_up(*runs: dg.DagsterRun) -> bool:
            records = [record for run in runs if (record := instance.get_run_record_by_id(run.run_id))]
            keys, limits = storage.get_concurrency_keys(), storage.get_pool_limits()
            return GlobalOpConcurrencyLimitsCounter(
                instance, [waiting], records, keys, limits, pool_granularity=pools.pool_granularity
            ).is_blocked(waiting)

        held_up()
        assert held_up(at_work)
        assert not held_up()
