"""A failed blocking check holds what is made from its table: in later runs, in other workflows, until it passes or is waived."""

from __future__ import annotations

import re
import shutil
from datetime import timedelta
from typing import TYPE_CHECKING

import dagster as dg
import pytest

import flowforge_assets.gates.own
import flowforge_assets.gates.sensor
from flowforge_assets.gates.decisions import Asked, DeclaredGates, revoke_waiver, waive_check
from flowforge_assets.silver.rollback import plan_rollback, roll_back
from flowforge_resources.errors import DefinitionError
from flowforge_resources.gates import NO_GATES, trail
from flowforge_resources.lake import Lake
from flowforge_resources.layout import TableId, utc_now
from gated import (
    AGG,
    BAD_SALE,
    BLOCK,
    FACT,
    MISSING_ITEM,
    RECONCILED,
    SALES,
    Platform,
    first_good_runs,
    gated,
    platform,
    published,
)
from scenario import checks, failures, load, objects, rows_of

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path


NEW_TARGET = {"targets/2.csv": "item_id,target\na,11\n"}
GOLD = "gold/report/fact_report.parquet"


@pytest.fixture(scope="module")
def good_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a lake on which both workflows ran well once; runs cost more than a copy."""
    folder = tmp_path_factory.mktemp("good_runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLOWFORGE_LAKE_URL", str(folder / "lake"))
        first_good_runs(folder, Lake())
    return folder / "lake"


@pytest.fixture
def empty_lake(tmp_path: Path) -> Lake:
    """An empty lake, which the environment names."""
    return Lake(str(tmp_path / "lake"))


@pytest.fixture
def lake(good_runs: Path, lake: Lake) -> Lake:
    """A copy of that lake, which the environment names."""
    assert lake.local_root is not None
    shutil.copytree(good_runs, lake.local_root, dirs_exist_ok=True)
    return lake


def shut(on: Platform) -> None:
    """The gate of the sales."""
    on.land("shop", BAD_SALE)
    assert not on.run("shop").success
    on.land("report", NEW_TARGET)


def waive(on: Platform, *, until: str = "2 hours", edge: str | None = None) -> None:
    declared = DeclaredGates.of(on.defs.component_tree)
    waive_check(on.lake, declared, Asked("sales", BLOCK, edge), by="ada", reason="known", until=until, now=utc_now())


def test_a_shut_gate_holds_other_workflows_in_later_runs_until_its_check_passes(lake: Lake, tmp_path: Path) -> None:
    with platform(tmp_path, lake) as on:
        assert on.gates("shop") == on.gates("report") == NO_GATES, "nobody pays for gates that are open"
        shut(on)
        (failed,) = on.gates("shop").failed[SALES]
        assert (failed.check, failed.blocking, failed.rows_broken, failed.published) == (BLOCK, True, 1, False)
        before = objects(lake, "gold")

        held = on.run("report")

        assert held.success, failures(held)
        assert published(held) == {"report/bronze_targets", "report/silver_targets"}
        assert objects(lake, "gold") == before
        said = checks(held)["fact_report", "upstream_gate"]
        assert not said.passed
        assert f"the check `{BLOCK}` of {SALES} fails since" in (said.description or "")
        assert f"flowforge gate waive {SALES} {BLOCK}" in (said.description or "")
        first = on.gates("report").held[FACT]
        assert first.behind == (f"{SALES}:{BLOCK}",)
        alone = on.run("report", "agg_report")
        assert published(alone) == set(), "held by way of the held model"
        assert FACT in (checks(alone)["agg_report", "upstream_gate"].description or "")
        assert checks(on.run("report", "gold_published"))["gold_published", "upstream_gate"].passed is False
        on.run("report")
        assert on.gates("report").held[FACT] == first, "noted once"
        assert objects(lake, "gold") == before
        assert on.tick("report") == on.tick("shop") == set()

        on.land("shop", MISSING_ITEM)
        assert on.run("shop").success
        assert on.gates("shop").failed == {}
        assert on.tick("report") == {FACT, AGG, "report/gold_published"}
        assert on.tick("report") == set(), "asked for once"
        opened = on.run("report")
        assert checks(opened)["fact_report", "upstream_gate"].passed
        assert rows_of(lake, GOLD) == [{"number": 1, "target": 11}, {"number": 2, "target": None}]
        assert on.gates("report").held == {}
        again = on.run("report")
        assert "upstream_gate" not in {check for _, check in checks(again)}, "an open gate has nothing to say"
        assert [event["what"] for event in trail(lake, "shop")] == ["shut", "opened"]


# Dagster's own, of how it copies a check that has a step of its own.
@pytest.mark.filterwarnings("ignore:Parameter `execution_type`")
def test_a_reconciliation_that_blocks_shuts_the_gate_of_its_table_until_it_passes_or_is_waived(
    lake: Lake, tmp_path: Path
) -> None:
    check = "reconcile_items_sold"
    with platform(tmp_path, lake, action="keep", more=RECONCILED) as on:
        on.land("shop", BAD_SALE)
        assert not on.run("shop").success
        (failed,) = on.gates("shop").failed[SALES]
        assert (failed.check, failed.blocking, failed.published) == (check, True, True)
        assert on.gates("report").held[FACT].behind == (f"{SALES}:{check}",), "what it shuts off waits from now on"
        before = objects(lake, "gold")
        on.land("report", NEW_TARGET)
        held = on.run("report")
        assert f"the check `{check}` of {SALES} fails since" in (
            checks(held)["fact_report", "upstream_gate"].description or ""
        )
        assert not on.run("shop").success
        assert on.gates("shop").failed[SALES][0].since == failed.since, (
            "the table's own step, which goes well, opens nothing"
        )
        assert objects(lake, "gold") == before
        assert on.tick("report") == set()

        declared = DeclaredGates.of(on.defs.component_tree)
        asked = Asked("sales", check)
        waive_check(lake, declared, asked, by="ada", reason="known", until="2 hours", now=utc_now())
        assert on.tick("report") == {FACT, AGG, "report/gold_published"}
        again = on.run("shop")
        assert again.success, failures(again)
        assert checks(again)["silver_sales", check].metadata["waived_by"].value == "ada"
        revoke_waiver(lake, declared, asked, by="ada", reason="mistake", now=utc_now())
        assert on.tick("report") == set()
        assert published(on.run("report")) == {"report/bronze_targets", "report/silver_targets"}

        on.land("shop", MISSING_ITEM)
        assert on.run("shop").success
        assert on.gates("shop").failed == {}
        assert FACT in on.tick("report")
        assert published(on.run("report")) >= {FACT, AGG}
        assert [event["what"] for event in trail(lake, "shop")] == ["shut", "waived", "revoked", "opened"]


def test_a_waived_check_publishes_its_table_and_counts_again_when_the_waiver_is_over(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with platform(tmp_path, lake) as on:
        shut(on)
        assert on.tick("shop") == set()
        waive(on)
        assert on.tick("shop") == {SALES}, "the batch that waited is asked for"
        assert on.tick("shop") == set()

        done = on.run("shop")

        assert done.success, failures(done)
        said = checks(done)["silver_sales", BLOCK]
        assert (said.passed, said.severity) == (False, dg.AssetCheckSeverity.WARN)
        assert "waived by ada until" in (said.description or "")
        assert said.metadata["waived_by"].value == "ada"
        assert published(on.run("report")) >= {FACT, AGG}
        assert len(rows_of(lake, GOLD)) == 2
        on.land("report", {"targets/3.csv": "item_id,target\na,12\n"})
        assert on.run("shop").success, "nothing new: the published version stands under its waiver"
        assert on.gates("shop").failed[SALES][0].published

        _later(monkeypatch, timedelta(hours=3))
        assert FACT not in published(on.run("report")), "an expired waiver does not count"
        on.land("shop", MISSING_ITEM | {"sales/3.csv": "number,item_id\n3,a\n"})
        assert on.run("shop").success
        assert published(on.run("report")) >= {FACT, AGG}
        assert {"waived", "shut", "opened"} == {event["what"] for event in trail(lake, "shop")}


def _later(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    def clock() -> datetime:
        return utc_now() + by

    for module in (flowforge_assets.gates.own, flowforge_assets.gates.sensor):
        monkeypatch.setattr(module, "utc_now", clock)


def test_a_waiver_for_one_table_lets_that_one_go_on_and_a_revoked_one_none(lake: Lake, tmp_path: Path) -> None:
    with platform(tmp_path, lake) as on:
        shut(on)
        on.run("report")
        waive(on, edge="fact_report")
        assert on.tick("report") == {FACT, AGG, "report/gold_published"}
        assert not on.run("shop", "silver_sales").success, "the failed table itself waits"
        declared = DeclaredGates.of(on.defs.component_tree)
        asked = Asked("shop.sales", BLOCK, "report.fact_report")
        revoke_waiver(lake, declared, asked, by="bob", reason="no", now=utc_now())
        assert published(on.run("report", "fact_report")) == set()
        waive(on, edge="fact_report")
        assert published(on.run("report")) >= {FACT, AGG}, "and what is made from it"
        assert rows_of(lake, GOLD) == [{"number": 1, "target": 11}], "from the last good sales"
        assert [(one["what"], one.get("actor")) for one in trail(lake, "shop")][-2:] == [
            ("revoked", "bob"),
            ("waived", "ada"),
        ]


def test_an_edge_that_names_no_check_is_no_gate(lake: Lake, tmp_path: Path) -> None:
    with platform(tmp_path, lake, gates="gates: {shop.sales: none}") as on:
        shut(on)
        assert published(on.run("report")) >= {FACT, AGG}


def test_an_edge_may_name_a_check_that_blocks_nothing_else(lake: Lake, tmp_path: Path) -> None:
    with platform(tmp_path, lake, action="keep", gates=f"gates: {{shop.sales: [{BLOCK}]}}") as on:
        on.land("shop", BAD_SALE)
        assert on.run("shop").success
        assert len(rows_of(lake, "silver/shop/sales/current.parquet")) == 2, "the table itself goes on"
        on.land("report", NEW_TARGET)
        assert published(on.run("report")) == {"report/bronze_targets", "report/silver_targets"}
        on.run("shop")
        assert FACT not in published(on.run("report")), "a run with nothing new judged nothing"
        on.land("shop", {"sales/3.csv": "number,item_id\n3,a\n"})
        assert on.run("shop").success
        assert published(on.run("report")) >= {FACT, AGG}


def test_a_rule_that_is_taken_out_opens_the_gate_with_the_next_run(lake: Lake, tmp_path: Path) -> None:
    with platform(tmp_path / "a", lake) as on:
        shut(on)
        instance = on.instance
        with gated(tmp_path / "b", action="keep") as defs:
            changed = type(on)(defs, lake, instance)
            assert published(changed.run("report", "fact_report")) == set()
            assert changed.run("shop").success
            assert changed.gates("shop").failed == {}
            assert published(changed.run("report")) >= {FACT, AGG}


def test_an_eager_table_asks_once_for_a_held_change_and_is_made_when_the_gate_opens(lake: Lake, tmp_path: Path) -> None:
    with platform(tmp_path, lake) as on:
        assert on.run("shop").success
        assert on.run("report").success
        fact, cursor = dg.AssetKey(FACT.split("/")), None

        def tick() -> bool:
            nonlocal cursor
            said = dg.evaluate_automation_conditions(
                defs=on.defs, instance=on.instance, cursor=cursor, asset_selection=dg.AssetSelection.assets(fact)
            )
            cursor = said.cursor
            return said.get_num_requested(fact) > 0

        tick()
        shut(on)
        assert not tick()
        assert on.run("report", "bronze_targets", "silver_targets").success
        assert tick(), "another table it reads has changed"
        assert published(on.run("report", "fact_report")) == set()
        assert not any(tick() for _ in range(3)), "held is no reason to ask again"
        on.land("shop", MISSING_ITEM)
        assert on.run("shop").success
        assert tick(), "the table that failed was published"
        assert published(on.run("report", "fact_report")) == {FACT}


PARTITIONED = """
    type: flowforge_assets.components.Workflow
    attributes: {description: A shop in partitions.}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: orders
      columns: [{name: id}, {name: side}, {name: total, type: integer}]
      keys: [id]
      rules: [{rule: range, column: total, min: 0, action: block}]
      partition_by: {column: side, values: [east, west]}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: lines
      columns: [{name: id}, {name: order_id}, {name: side}]
      keys: [id]
      rules: [{rule: references, column: order_id, table: orders, to: id, action: keep}]
      partition_by: {column: side, values: [east, west]}
"""


def test_chosen_partitions_are_held_too_and_excuse_no_batch_that_failed(empty_lake: Lake, tmp_path: Path) -> None:
    defs = load(tmp_path, PARTITIONED)
    orders = {"orders/1.csv": "id,side,total\no1,east,1\no2,west,2\n", "lines/1.csv": "id,order_id,side\nl1,o1,east\n"}
    with dg.DagsterInstance.ephemeral() as instance:
        on = Platform(defs, empty_lake, instance)
        on.land("shop", orders)
        assert on.run("shop").success
        on.land("shop", {"orders/2.csv": "id,side,total\no3,east,-3\n"})
        assert not on.run("shop").success

        assert on.run("shop", "silver_orders", partition_key="west").success
        assert [one.check for one in on.gates("shop").failed["shop/silver_orders"]] == ["range_total"]
        before = objects(empty_lake, "silver")
        held = on.run("shop", "silver_lines", partition_key="east")
        assert held.success
        assert not checks(held)["silver_lines", "upstream_gate"].passed
        assert objects(empty_lake, "silver") == before
        assert on.gates("shop").held["shop/silver_lines"].partitions == ("east",)
        waive_check(
            empty_lake,
            DeclaredGates.of(defs.component_tree),
            Asked("shop/silver_orders", "range_total", "lines"),
            by="ada",
            reason="known",
            until="1 day",
            now=utc_now(),
        )
        assert on.tick("shop") == set(), "who chose partitions chooses them again"
        assert published(on.run("shop", "silver_lines", partition_key="east")) == {"shop/silver_lines"}
        assert on.gates("shop").held == {}


def test_a_rollback_opens_a_gate_that_stands_open_under_a_waiver(lake: Lake, tmp_path: Path) -> None:
    with platform(tmp_path, lake) as on:
        shut(on)
        waive(on)
        assert on.run("shop").success
        assert on.gates("shop").failed[SALES][0].published
        table = TableId("shop", "sales")
        roll_back(lake, plan_rollback(lake, table, "1"), reason="undo")
        assert on.run("shop").success
        assert on.gates("shop").failed == {}
        assert [row["number"] for row in rows_of(lake, table.current)] == [1]
        assert published(on.run("report")) >= {FACT, AGG}


WRONG = {
    "gates: {shop.sale: none}": "names 'shop.sale', which it is not made from.*Did you mean 'shop.sales'",
    "gates: {shop.sales: [bocks]}": "names the check 'bocks', which 'shop.sales' does not have.*Did you mean 'books'",
    "gates: {shop.sales: books}": r"is neither `none` nor a list.*Write `shop.sales: \[books\]`",
}


@pytest.mark.parametrize("written", WRONG)
def test_a_gate_that_names_what_is_not_there_is_refused_at_definition_time(written: str, tmp_path: Path) -> None:
    with (
        pytest.raises(Exception) as caught,  # noqa: PT011  # Dagster wraps ours in several of its own
        gated(tmp_path, gates=written) as defs,
    ):
        defs.get_repository_def()
    error: BaseException | None = caught.value
    while error is not None and not isinstance(error, DefinitionError):
        error = error.__cause__
    assert re.search(WRONG[written], str(error))
    assert "defs/report/defs.yaml:" in str(error)
