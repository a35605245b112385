"""Tables in partitions with deletes, truncates, history and full extracts hold what they hold in one piece."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowforge_assets.partitions.partition_by import PartitionBy
from flowforge_assets.silver.rollback import plan_rollback, roll_back
from flowforge_assets.strategies.spec import Strategy
from flowforge_resources.io_managers import silver_table
from flowforge_resources.lake import Lake
from flowforge_resources.retention import Retention
from flowforge_resources.sweep import STATE, sweep
from partitioned_table import DAILY, Driven, Row, manifest_of, rows, spec_of

if TYPE_CHECKING:
    import pytest

    from flowforge_assets.table_spec import TableSpec

DAYS = ("2026-01-01", "2026-01-02", "2026-01-31", None)
DELETES, CLEARS = "2026-01-01", "2026-01-02"
ROWS = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["a", "b", "c", None]),
        "day": st.sampled_from([*DAYS, "nonsense"]),
        "n": st.sampled_from(["0", "1", "2", "3", "4", "-1"]),
        "at": st.sampled_from([None, None, "2026-01-05", "2026-01-06", DELETES, CLEARS]),
    }
)
BATCHES = st.lists(st.lists(ROWS, min_size=1, max_size=4), min_size=1, max_size=4)
DELETE = f"\"at\" = TIMESTAMP '{DELETES}'"
SCD2 = Strategy(kind="scd2", version_key="v_key")
STRATEGIES = {
    "deletes and truncates": Strategy(delete_when=DELETE, truncate_when=f"\"at\" = TIMESTAMP '{CLEARS}'"),
    "ignored nulls": Strategy(delete_when=DELETE, ignore_null=("day", "at")),
    "absent rows go": Strategy(delete_absent="delete"),
    "absent rows of a day go": Strategy(delete_absent="delete", within="day"),
    "history": replace(SCD2, delete_when=DELETE),
    "history of some columns": replace(SCD2, delete_when=DELETE, tracked=("at",)),
    "history of extracts": replace(SCD2, delete_absent="invalidate"),
    "history of extracts of a day": replace(SCD2, delete_absent="invalidate", within="day"),
    "history of extracts that goes": replace(SCD2, delete_absent="delete"),
    "full refresh": Strategy(kind="full_refresh"),
}
WAYS = {
    "day": DAILY,
    "key": PartitionBy(column="id"),
    "number": PartitionBy(column="n"),
    "moment": PartitionBy(column="at"),
}


def table_of(lake: Lake, name: str, strategy: str, by: PartitionBy | None, *, keyed: bool = True) -> Driven:
    spec: TableSpec = replace(spec_of(name, by), strategy=STRATEGIES[strategy])
    return Driven(lake, spec if keyed else replace(spec, keys=(), surrogate_key=""))


def all_of(table: Driven) -> list[dict[str, Any]]:
    """Every row, without where and when it came from."""
    found = silver_table(table.lake, table.spec.id).scan().collect().to_dicts()
    return sorted(
        ({k: v for k, v in row.items() if k not in ("_ingested_at", "_source_file")} for row in found), key=str
    )


def assert_same(cut: Driven, whole: Driven) -> None:
    assert all_of(cut) == all_of(whole)
    assert cut.held() == whole.held()
    assert [key for key in cut.strangers() if "/_state/" not in key] == []


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(batches=BATCHES, way=st.sampled_from(sorted(WAYS)), strategy=st.sampled_from(sorted(STRATEGIES)), data=st.data())
def test_in_partitions_every_strategy_says_what_it_says_in_one_piece(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[Row]], way: str, strategy: str, data: st.DataObject
) -> None:
    lake = Lake(str(tmp_path_factory.mktemp("lake")))
    cut, whole = table_of(lake, "cut", strategy, WAYS[way]), table_of(lake, "whole", strategy, None)
    for batch in batches:
        for table in (cut, whole):
            table.land(batch)
        assert cut.take() == whole.take()
        assert_same(cut, whole)
    there = data.draw(st.lists(st.sampled_from(sorted(manifest_of(cut).partitions)), min_size=1, unique=True))
    untouched = {key: part for key, part in manifest_of(cut).partitions.items() if key not in there}
    state = manifest_of(cut).facts.get("state")
    cut.take(*there)
    assert_same(cut, whole)
    assert untouched.items() <= manifest_of(cut).partitions.items()
    assert manifest_of(cut).facts.get("state") == state
    for table in (cut, whole):
        table.land(batches[0])
    assert cut.take() == whole.take()
    assert_same(cut, whole)


def test_a_delete_touches_the_partition_that_holds_its_key_and_no_other(lake: Lake) -> None:
    table = table_of(lake, "t", "deletes and truncates", DAILY)
    table.land(rows("a 2026-01-01 1", "b 2026-01-02 1", "z 2026-01-31 1"))
    table.take()
    before = manifest_of(table).partitions
    table.land([{"id": "a", "day": "nonsense", "n": "2", "at": DELETES}])
    books = table.take()
    assert books is not None
    assert (books.deleted, books.rows_after) == (1, 2)
    assert table.partitions() == {"2026-01-02": 1, "2026-01-31": 1}
    assert {key: part for key, part in manifest_of(table).partitions.items() if part == before[key]}.keys() == {
        "2026-01-02",
        "2026-01-31",
    }
    table.land(rows("a 2026-01-31 1"))  # older than the delete, which is remembered beside the manifest
    assert table.take() is not None
    assert table.partitions() == {"2026-01-02": 1, "2026-01-31": 1}
    table.land(rows("a 2026-01-31 3"))
    table.take()
    assert table.partitions() == {"2026-01-02": 1, "2026-01-31": 2}


def test_a_delete_with_a_value_of_no_declared_partition_is_one(lake: Lake) -> None:
    table = table_of(lake, "t", "history", PartitionBy(column="id", values=("a", "b")))
    table.land([*rows("a 2026-01-01 1", "c 2026-01-01 1")])
    table.take()
    table.land([{"id": "c", "day": None, "n": "2", "at": DELETES}])
    books = table.take()
    assert books is not None
    assert (books.unchanged, books.quarantined) == (1, 0)
    assert len(table.held()) == 1, "the row with values has no partition"


def test_versions_of_one_key_are_in_the_partitions_of_their_own_values(lake: Lake) -> None:
    table = table_of(lake, "t", "history", DAILY)
    for one in ("a 2026-01-01 1", "a 2026-01-02 2", "a 2026-01-31 4", "a 2026-01-01 3"):
        table.land(rows(one))
        table.take()
    assert table.partitions() == {"2026-01-01": 2, "2026-01-02": 1, "2026-01-31": 1}
    found = sorted((row["valid_from"], row["valid_to"], str(row["day"])) for row in all_of(table) if row["valid_to"])
    assert found == [(1, 2, "2026-01-01"), (2, 3, "2026-01-02"), (3, 4, "2026-01-01")]


def test_a_row_made_of_what_is_remembered_joins_a_partition_nobody_took_for_touched(lake: Lake) -> None:
    table = table_of(lake, "t", "history of some columns", DAILY)
    table.land(rows("b 2026-01-01 1", "a 2026-01-01 1"))
    table.take()
    table.land(rows("a 2026-01-02 3"))  # the version stays, its day moves
    table.take()
    assert table.partitions() == {"2026-01-01": 1, "2026-01-02": 1}
    table.land([{"id": "a", "day": "2026-01-31", "n": "2", "at": "2026-01-05"}])  # and falls apart again
    books = table.take()
    assert books is not None
    assert table.partitions() == {"2026-01-01": 2, "2026-01-02": 1, "2026-01-31": 1}
    assert (books.rows_before, books.rows_after) == (2, 4)


def test_a_full_refresh_replaces_all_partitions_at_once_and_leaves_those_that_stay_the_same(lake: Lake) -> None:
    table = table_of(lake, "t", "full refresh", DAILY, keyed=False)
    table.land(rows("a 2026-01-01 1", "b 2026-01-02 1"))
    table.take()
    before = manifest_of(table)
    table.land(rows("a 2026-01-01 1", "c 2026-01-31 1"))
    table.take()
    assert table.partitions() == {"2026-01-01": 1, "2026-01-31": 1}
    assert manifest_of(table).version == before.version + 1
    table.take("2026-01-31")
    assert table.partitions() == {"2026-01-01": 1, "2026-01-31": 1}


def test_what_is_remembered_goes_back_with_a_rollback_and_away_with_the_last_version_that_names_it(lake: Lake) -> None:
    table = table_of(lake, "t", "deletes and truncates", DAILY)
    table.land(rows("a 2026-01-01 1", "b 2026-01-01 1"))
    table.take()
    table.land([{"id": "a", "day": None, "n": "5", "at": DELETES}])
    table.take()
    first, second = (one.key for one in sorted(lake.files(table.spec.id.states), key=lambda one: one.key))
    roll_back(lake, plan_rollback(lake, table.spec.id, "1"))
    assert manifest_of(table).facts["state"] == first
    swept = sweep(lake, {table.spec.id: Retention()}, run_id="me", older_than=timedelta(0))
    assert swept.of_kind(STATE) == []
    table.land(rows("a 2026-01-02 4"))
    table.take()
    assert table.partitions() == {"2026-01-01": 1, "2026-01-02": 1}, "the delete was rolled back"
    assert {first, second} <= {one.key for one in lake.files(table.spec.id.states)}
