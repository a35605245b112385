"""The versions of a table: kept, shown, asked about as of a moment, and rolled back to and forward."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from flowforge_assets.cli.as_of import AsOfError
from flowforge_assets.cli.query import run_query
from flowforge_assets.silver.rollback import RollbackError, newly_left_out, plan_rollback, record, roll_back
from flowforge_assets.silver.versions_before import to_compare_with
from flowforge_resources import retention as retention_module
from flowforge_resources.history import find_version, version_at, versions
from flowforge_resources.layout import TableId
from flowforge_resources.left_out import is_in, joined
from flowforge_resources.retention import Retention
from scenario import land, load, metadata, rows_of, run_well
from test_yaml import refusal

if TYPE_CHECKING:
    from pathlib import Path

    import dagster as dg

    from flowforge_resources.lake import Lake

YAML = """
    type: flowforge_assets.components.Workflow
    attributes: {{description: A shop{workflow}}}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: items
      on_change: supersede
      {table}
      columns:
        - {{name: item_id}}
        - {{name: label}}
        - {{name: price, type: integer}}
      keys: [item_id]
      rules:
        - {{rule: range, column: price, min: {least}}}
"""
ITEMS = TableId("shop", "items")


def shop(
    folder: Path, name: str = "project", *, workflow: str = "", table: str = "description: Items.", least: int = 0
) -> dg.Definitions:
    (folder / name).mkdir()
    return load(folder / name, YAML.format(workflow=workflow, table=table, least=least))


def day(lake: Lake, defs: dg.Definitions, name: str, *rows: str) -> Any:
    """Land a file and run."""
    land(lake, "shop", {f"items/{name}.csv": "\n".join(["item_id,label,price", *rows, ""])})
    return run_well(defs, "shop")


def labels(lake: Lake) -> dict[str, str]:
    return {row["item_id"]: row["label"] for row in rows_of(lake, ITEMS.current)}


def held(lake: Lake) -> list[str]:
    return sorted(row["item_id"] for row in rows_of(lake, ITEMS.quarantine))


def three_days(lake: Lake, defs: dg.Definitions) -> None:
    """Version 1: 1 and 2; version 2: 2 changed, 3 new; version 3: 1 changed, 4 new, 9 held."""
    day(lake, defs, "1", "1,a,1", "2,a,1")
    day(lake, defs, "2", "2,b,1", "3,b,1")
    day(lake, defs, "3", "1,c,1", "4,c,1", "9,c,-1")


DAY1, DAY2 = {"1": "a", "2": "a"}, {"1": "a", "2": "b", "3": "b"}
DAY3 = {"1": "c", "2": "b", "3": "b", "4": "c"}


def to(lake: Lake, wanted: str, **said: Any) -> Any:
    """Roll back."""
    return roll_back(lake, plan_rollback(lake, ITEMS, wanted), **said)


# -- versions ---------------------------------------------------------------------------------------------------------


def test_history_says_of_every_version_what_happened_newest_first(any_lake: Lake, tmp_path: Path) -> None:
    three_days(any_lake, shop(tmp_path))
    found = versions(any_lake, ITEMS)
    assert [(one.number, one.current, one.published.rows) for one in found] == [
        (3, True, 4),
        (2, False, 3),
        (1, False, 2),
    ]
    assert [one.what for one in found] == ["batch of bronze 3", "batch of bronze 2", "first load of bronze 1"]
    assert found[0].facts["books"] == {"inserted": 1, "updated": 1, "quarantined": 1}
    assert [one.replaced_at for one in found] == [None, found[0].published_at, found[1].published_at]
    assert [labels_of(any_lake, one.key) for one in found] == [DAY3, DAY2, DAY1]


def labels_of(lake: Lake, key: str) -> dict[str, str]:
    return {row["item_id"]: row["label"] for row in rows_of(lake, key)}


def test_a_run_with_nothing_new_makes_no_version(lake: Lake, tmp_path: Path) -> None:
    defs = shop(tmp_path)
    day(lake, defs, "1", "1,a,1")
    run_well(defs, "shop")
    day(lake, defs, "2", "1,a,1")
    assert [one.number for one in versions(lake, ITEMS)] == [1]


def test_a_version_is_found_by_number_by_snapshot_and_by_moment(lake: Lake, tmp_path: Path) -> None:
    three_days(lake, shop(tmp_path))
    found = versions(lake, ITEMS)
    second = found[1]
    name = second.key.rsplit("/", 1)[-1]
    for wanted in ("2", second.key, name, name.removesuffix(".parquet"), name[len("snapshot_") : -len(".parquet")]):
        assert find_version(found, wanted) is second
    for wanted in ("7", "", "snapshot_", ".parquet", "current.parquet"):
        assert find_version(found, wanted) is None
    assert version_at(found, second.published_at) is second
    assert version_at(found, found[0].published_at - timedelta(microseconds=1)) is second
    assert version_at(found, found[2].published_at - timedelta(microseconds=1)) is None


def test_an_archived_version_that_was_never_replaced_is_counted_once(lake: Lake, tmp_path: Path) -> None:
    """As a run leaves it that was killed between archive and swap."""
    defs = shop(tmp_path)
    day(lake, defs, "1", "1,a,1")
    lake.copy_new(ITEMS.current, ITEMS.snapshot(versions(lake, ITEMS)[0].published_at))
    (only,) = versions(lake, ITEMS)
    assert only.current
    day(lake, defs, "2", "1,b,1")
    assert [one.number for one in versions(lake, ITEMS)] == [2, 1]


def test_a_snapshot_is_never_written_over(any_lake: Lake) -> None:
    any_lake.write("current", b"first")
    any_lake.copy_new("current", "archive/first")
    any_lake.delete("current")
    any_lake.write("current", b"second")
    any_lake.copy_new("current", "archive/first")
    assert any_lake.read("archive/first") == b"first"


def test_a_snapshot_too_large_for_one_request_goes_in_parts(s3_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("lake", "transfer"):
        monkeypatch.setattr(f"flowforge_resources.{module}.LARGEST_CONDITIONAL_PUT_BYTES", 10)
    s3_lake.write("current", b"x" * 1000)
    s3_lake.copy_new("current", "archive/first")
    s3_lake.write("current", b"y" * 1000)
    s3_lake.copy_new("current", "archive/first")
    assert s3_lake.read("archive/first") == b"x" * 1000


# -- retention --------------------------------------------------------------------------------------------------------


def numbers(lake: Lake) -> list[int]:
    return [one.number for one in versions(lake, ITEMS)]


@pytest.mark.parametrize("where", ["table", "workflow"])
def test_the_newest_versions_are_kept_and_older_ones_go(
    where: str, any_lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention_module, "GRACE", timedelta(0))
    declared = {"table": "history: {keep_last: 2}"} if where == "table" else {"workflow": ", history: {keep_last: 2}"}
    defs = shop(tmp_path, **declared)
    for n in range(5):
        day(any_lake, defs, str(n), f"1,{n},1")
    assert numbers(any_lake) == [5, 4, 3]


def test_what_a_table_declares_goes_before_what_its_workflow_does(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention_module, "GRACE", timedelta(0))
    defs = shop(tmp_path, workflow=", history: {keep_last: 0}", table="history: {keep_last: 1}")
    for n in range(4):
        day(lake, defs, str(n), f"1,{n},1")
    assert numbers(lake) == [4, 3]


def test_a_version_that_was_just_replaced_stays_however_few_are_kept(lake: Lake, tmp_path: Path) -> None:
    defs = shop(tmp_path, table="history: {keep_last: 0}")
    three_days(lake, defs)
    assert numbers(lake) == [3, 2, 1]


def test_a_snapshot_goes_only_where_number_and_age_both_let_it() -> None:
    days = timedelta(days=1)
    both = Retention(keep_last=2, keep_for="30 days")
    assert not both.lets_go(1, 40 * days)
    assert not both.lets_go(2, 29 * days)
    assert both.lets_go(2, 30 * days)
    assert Retention(keep_last=0).lets_go(0, timedelta(minutes=15))
    assert not Retention(keep_last=0).lets_go(0, timedelta(minutes=14))
    assert not Retention(keep_last=0, keep_for="forever").lets_go(99, 9999 * days)
    assert Retention(keep_last=0, keep_for="2 weeks").lets_go(0, 14 * days)
    assert not Retention().lets_go(9, 9999 * days)


@pytest.mark.parametrize("given", ["30", "thirty days", "0 days", "1 month", "-1 days", ""])
def test_a_span_that_is_none_is_refused_with_what_to_write(given: str, tmp_path: Path) -> None:
    said = refusal(tmp_path, YAML.format(workflow="", table=f"history: {{keep_for: '{given}'}}", least=0))
    assert f"`keep_for: {given}` is no span of time. Write e.g. '12 hours'" in said


def test_a_snapshot_that_cannot_be_removed_fails_no_run(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flowforge_resources.errors import LakeAccessError
    from flowforge_resources.lake import Lake as AnyLake

    monkeypatch.setattr(retention_module, "GRACE", timedelta(0))
    defs = shop(tmp_path, table="history: {keep_last: 0}")
    day(lake, defs, "1", "1,a,1")

    def refuse(self: AnyLake, key: str) -> None:
        raise LakeAccessError(self.url, f"delete {key}", "not allowed.")

    with monkeypatch.context() as patch:
        patch.setattr(AnyLake, "delete", refuse)
        day(lake, defs, "2", "1,b,1")
    assert labels(lake) == {"1": "b"}
    assert numbers(lake) == [2, 1]
    day(lake, defs, "3", "1,c,1")
    assert numbers(lake) == [3]


def compared(lake: Lake) -> list[int]:
    """The versions that the next one is compared with: none that was taken back, and each once."""
    return [one.number for one in to_compare_with(versions(lake, ITEMS), 9)]


# -- rollback ---------------------------------------------------------------------------------------------------------


def test_a_rollback_is_the_next_version_and_a_second_one_undoes_it(any_lake: Lake, tmp_path: Path) -> None:
    three_days(any_lake, shop(tmp_path))
    made = to(any_lake, "2", reason="wrong prices", by="ada@desk")
    assert (made.number, made.what) == (4, "rolled back to version 2 by ada@desk: wrong prices")
    assert labels(any_lake) == DAY2
    assert numbers(any_lake) == [4, 3, 2, 1]
    assert compared(any_lake) == [4, 1]
    assert made.facts["nonce"] != versions(any_lake, ITEMS)[2].facts["nonce"]
    to(any_lake, "3")
    assert labels(any_lake) == DAY3
    assert numbers(any_lake) == [5, 4, 3, 2, 1]
    assert compared(any_lake) == [5, 2, 1]
    to(any_lake, "4")
    assert compared(any_lake) == [6, 1]


def test_what_was_left_out_is_not_applied_by_the_next_run_and_later_batches_go_on(lake: Lake, tmp_path: Path) -> None:
    defs = shop(tmp_path)
    three_days(lake, defs)
    to(lake, "2")
    run_well(defs, "shop")
    assert labels(lake) == DAY2
    day(lake, defs, "4", "5,d,1", "1,d,1")
    assert labels(lake) == {**DAY2, "1": "d", "5": "d"}
    assert versions(lake, ITEMS)[0].what == "batch of bronze 4"
    assert versions(lake, ITEMS)[0].facts["left_out"] == [[3, 3]]


@pytest.mark.parametrize("why", ["definition", "supersede"])
def test_a_replay_from_all_of_bronze_leaves_the_undone_bronze_out_too(why: str, lake: Lake, tmp_path: Path) -> None:
    defs = shop(tmp_path)
    three_days(lake, defs)
    to(lake, "2")
    day(lake, defs, "4", "5,d,1")
    if why == "definition":
        result = run_well(shop(tmp_path, "changed", least=-5), "shop")
        expected = {**DAY2, "5": "d"}
    else:
        result = day(lake, defs, "1", "1,z,1")
        expected = {"1": "z", "2": "b", "3": "b", "5": "d"}
    assert "all of bronze" in metadata(result, "silver_items")["made_anew"]
    assert labels(lake) == expected
    assert versions(lake, ITEMS)[0].what.startswith("made anew from all of bronze, because")
    assert versions(lake, ITEMS)[0].facts["left_out"] == [[3, 3]]


def test_rolling_forward_takes_the_undone_bronze_in_again_for_replays_too(lake: Lake, tmp_path: Path) -> None:
    three_days(lake, shop(tmp_path))
    to(lake, "1")
    assert versions(lake, ITEMS)[0].facts["left_out"] == [[2, 3]]
    to(lake, "3")
    assert "left_out" not in versions(lake, ITEMS)[0].facts
    run_well(shop(tmp_path, "changed", least=-5), "shop")
    assert labels(lake) == {**DAY3, "9": "c"}


def test_a_batch_that_took_the_place_of_a_file_is_undone_with_its_rollback(lake: Lake, tmp_path: Path) -> None:
    """Bronze 2 superseded bronze 1; undone, it supersedes nothing, and the earlier content counts again."""
    defs = shop(tmp_path)
    day(lake, defs, "1", "1,a,1", "2,a,1")
    day(lake, defs, "1", "3,wrong,1")
    assert labels(lake) == {"3": "wrong"}
    to(lake, "1")
    assert labels(lake) == {"1": "a", "2": "a"}
    run_well(shop(tmp_path, "changed", least=-5), "shop")
    assert labels(lake) == {"1": "a", "2": "a"}


def test_rows_held_of_undone_bronze_stay_held_through_a_replay_and_come_in_with_a_roll_forward(
    lake: Lake, tmp_path: Path
) -> None:
    three_days(lake, shop(tmp_path))
    assert held(lake) == ["9"]
    to(lake, "2")
    assert held(lake) == ["9"]
    run_well(shop(tmp_path, "changed", least=1), "shop")
    assert (labels(lake), held(lake)) == (DAY2, ["9"])
    to(lake, "3")
    run_well(shop(tmp_path, "again", least=-5), "shop")
    assert (labels(lake), held(lake)) == ({**DAY3, "9": "c"}, [])


def test_bronze_that_changed_no_row_of_a_version_is_still_its_own_after_a_rollback(lake: Lake, tmp_path: Path) -> None:
    defs = shop(tmp_path)
    day(lake, defs, "1", "1,a,1")
    day(lake, defs, "2", "1,a,1", "8,a,-1")  # nothing new, one row held
    day(lake, defs, "3", "1,b,1")
    plan = plan_rollback(lake, ITEMS, "1")
    assert plan.left_out == ((3, 3),)
    assert [entry.version for entry in newly_left_out(lake, plan)] == [3]


def test_a_rollback_makes_no_difference_between_numbers_and_snapshots(lake: Lake, tmp_path: Path) -> None:
    three_days(lake, shop(tmp_path))
    snapshot = versions(lake, ITEMS)[2].key
    plan = plan_rollback(lake, ITEMS, snapshot)
    assert (plan.number, plan.target.number, plan.left_out) == (4, 1, ((2, 3),))
    assert plan.as_dict()["rows_then"] == 2


def test_a_rollback_that_a_run_overtakes_changes_nothing(any_lake: Lake, tmp_path: Path) -> None:
    defs = shop(tmp_path)
    three_days(any_lake, defs)
    plan = plan_rollback(any_lake, ITEMS, "1")
    day(any_lake, defs, "4", "7,d,1")
    with pytest.raises(RollbackError, match="a run published it while it was being rolled back"):
        roll_back(any_lake, plan)
    assert labels(any_lake) == {**DAY3, "7": "d"}
    assert numbers(any_lake) == [4, 3, 2, 1]
    assert [labels_of(any_lake, one.key) for one in versions(any_lake, ITEMS)[1:]] == [DAY3, DAY2, DAY1]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("3", "Version 3 of shop.items is the published one"),
        ("8", r"no version '8'. Nothing was changed. There are: 3, 2, 1"),
        ("snapshot_20200101_000000_000000", "no version 'snapshot_2020"),
    ],
)
def test_a_version_that_cannot_be_rolled_back_to_is_refused(wanted: str, said: str, lake: Lake, tmp_path: Path) -> None:
    three_days(lake, shop(tmp_path))
    with pytest.raises(RollbackError, match=said):
        plan_rollback(lake, ITEMS, wanted)


def test_a_table_that_was_never_published_is_not_rolled_back(lake: Lake) -> None:
    with pytest.raises(RollbackError, match="never published"):
        plan_rollback(lake, ITEMS, "1")


def test_going_back_to_another_definition_is_said_and_the_next_run_takes_the_declared_one(
    lake: Lake, tmp_path: Path
) -> None:
    three_days(lake, shop(tmp_path))
    changed = shop(tmp_path, "changed", least=-5)
    run_well(changed, "shop")
    plan = plan_rollback(lake, ITEMS, "2")
    assert plan.other_definition
    roll_back(lake, plan)
    assert labels(lake) == DAY2
    run_well(changed, "shop")
    assert labels(lake) == DAY2
    assert "definition changed" in versions(lake, ITEMS)[0].what


def test_a_rollback_is_a_materialization_of_the_dagster_instance(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dagster as dg

    three_days(lake, shop(tmp_path))
    plan = plan_rollback(lake, ITEMS, "1")
    made = roll_back(lake, plan, reason="a test", by="ada@desk")
    assert not record(lake, plan, made)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    assert record(lake, plan, made)
    with dg.DagsterInstance.get() as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey(ITEMS.silver_key))
    assert event is not None
    assert event.asset_materialization is not None
    said = {name: value.value for name, value in event.asset_materialization.metadata.items()}
    assert (said["version"], said["rolled_back_to"], said["dagster/row_count"], said["reason"]) == (4, 1, 2, "a test")


def test_ranges_are_joined_where_they_meet() -> None:
    assert joined([(5, 6), (1, 2), (3, 3), (9, 8)]) == ((1, 3), (5, 6))
    assert joined([(1, 9), (2, 3)]) == ((1, 9),)
    assert [is_in(n, ((1, 3), (5, 6))) for n in range(8)] == [False, True, True, True, False, True, True, False]


# -- as of ------------------------------------------------------------------------------------------------------------

COUNT = "SELECT count(*) FROM shop.items"


def test_a_question_as_of_a_moment_or_version_sees_the_table_as_it_was(any_lake: Lake, tmp_path: Path) -> None:
    three_days(any_lake, shop(tmp_path))
    found = versions(any_lake, ITEMS)
    for version, rows in zip(found, (4, 3, 2), strict=True):
        for as_of in (str(version.number), version.published_at.isoformat()):
            assert run_query(COUNT, any_lake, as_of).rows == ((rows,),)
    naive = found[1].published_at.replace(tzinfo=None).isoformat()
    assert run_query(COUNT, any_lake, naive).rows == ((3,),)
    assert run_query(COUNT, any_lake, "2999-01-01").rows == ((4,),)


def test_tables_that_are_joined_are_all_as_of_the_moment(lake: Lake, tmp_path: Path) -> None:
    defs = shop(tmp_path)
    day(lake, defs, "1", "1,a,1")
    moment = versions(lake, ITEMS)[0].published_at.isoformat()
    day(lake, defs, "2", "1,b,1", "2,b,1")
    sql = "SELECT s.label, b.label FROM shop.items s JOIN shop_bronze.items b USING (item_id) ORDER BY ALL"
    assert run_query(sql, lake, moment).rows == (("a", "a"),)
    assert run_query(sql, lake).rows == (("b", "a"), ("b", "b"), ("b", "b"))


def test_bronze_as_of_a_moment_holds_what_a_later_file_superseded(lake: Lake, tmp_path: Path) -> None:
    defs = shop(tmp_path)
    day(lake, defs, "1", "1,old,1")
    moment = versions(lake, ITEMS)[0].published_at.isoformat()
    day(lake, defs, "1", "1,new,1")
    bronze = "SELECT label FROM shop_bronze.items"
    assert run_query(bronze, lake, moment).rows == (("old",),)
    assert run_query(bronze, lake).rows == (("new",),)


@pytest.mark.parametrize(
    ("sql", "as_of", "said"),
    [
        (COUNT, "yesterday", "neither a moment such as"),
        (COUNT, "9", r"no version 9. There are: 3, 2, 1"),
        (COUNT, "2020-01-01", "did not exist at 2020-01-01 00:00:00 UTC: it was first published at"),
        ("SELECT 1 FROM shop_quarantine.items", "2999-01-01", "quarantine keeps no earlier versions"),
        ("SELECT 1 FROM shop_bronze.items", "2020-01-01", "nothing had been ingested yet"),
        ("SELECT 1 FROM shop.items, shop_bronze.items", "2", "bronze has no versions; give a moment"),
        ("SELECT 1 FROM shop_quarantine.items", "2", "these silver tables: none"),
    ],
)
def test_a_past_that_is_not_kept_is_refused_and_not_answered_with_the_present(
    sql: str, as_of: str, said: str, lake: Lake, tmp_path: Path
) -> None:
    three_days(lake, shop(tmp_path))
    with pytest.raises(AsOfError, match=said):
        run_query(sql, lake, as_of)


def test_gold_has_no_past(two_days: dict[str, Any]) -> None:
    with pytest.raises(AsOfError, match="gold tables keep no earlier versions"):
        run_query("SELECT 1 FROM retail.dim_region", two_days["lake"], "2999-01-01")


def test_a_moment_before_the_oldest_version_kept_is_not_answered(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention_module, "GRACE", timedelta(0))
    defs = shop(tmp_path, table="history: {keep_last: 1}")
    day(lake, defs, "1", "1,a,1")
    moment: datetime = versions(lake, ITEMS)[0].published_at
    day(lake, defs, "2", "1,b,1")
    day(lake, defs, "3", "1,c,1")
    with pytest.raises(AsOfError, match="is not kept: the oldest version that is, 2, was published at"):
        run_query(COUNT, lake, moment.isoformat())


def test_a_cron_of_maintenance_that_is_none_is_refused(tmp_path: Path) -> None:
    said = refusal(tmp_path, YAML.format(workflow=", maintenance: often", table="description: Items.", least=0))
    assert "`maintenance: often` with `timezone: UTC` is refused" in said
