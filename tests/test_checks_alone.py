"""Checks started alone, as the UI's "Execute checks" does: they are judged, and no table is materialized."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from gated import BAD_SALE, BLOCK, FIRST, SALES, Platform, gated
from scenario import QUIET, SHOP_DAY1, SHOP_DAY2, checks, failures, land, objects, run_well, shop

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_resources.lake import Lake

ITEMS = dg.AssetKey(["shop", "silver_items"])
SALES_KEY = dg.AssetKey(["shop", "silver_sales"])


def parquet(columns: dict[str, list[Any]]) -> bytes:
    """A Parquet file as bytes."""
    out = BytesIO()
    pl.DataFrame(columns).write_parquet(out)
    return out.getvalue()


def run_checks(
    defs: dg.Definitions, instance: dg.DagsterInstance, table: dg.AssetKey = ITEMS
) -> dg.ExecuteInProcessResult:
    """Every check of one silver table, and nothing else."""
    chosen = dg.AssetSelection.checks_for_assets(table)
    job = dg.define_asset_job("checks_alone", selection=chosen)
    found = dg.Definitions.merge(defs, dg.Definitions(jobs=[job])).resolve_job_def("checks_alone")
    return found.execute_in_process(instance=instance, raise_on_error=False, run_config=QUIET)


def test_checks_judge_the_published_table_and_the_others_repeat_what_they_last_found(
    lake: Lake, tmp_path: Path
) -> None:
    defs = shop(tmp_path)
    land(lake, "shop", SHOP_DAY1)
    with dg.DagsterInstance.ephemeral() as instance:
        assert defs.resolve_job_def("shop").execute_in_process(instance=instance, run_config=QUIET).success
        before = objects(lake)

        result = run_checks(defs, instance)

        assert result.success, failures(result)
        assert result.get_asset_materialization_events() == []
        found = {one.check_name: one.metadata for one in result.get_asset_check_evaluations()}
        assert {"books", "type", "keys_present", "range_price"} <= set(found)
        assert "published" in str(found["range_price"]["judged"].value)
        assert found["range_price"]["rows_broken"].value == 0, "the row that breaks it waits in quarantine"
        assert "judged" not in found["type"], "as last found: a published row cannot break it"
        assert objects(lake) == before


def test_a_batch_that_waits_is_not_judged_and_goes_on_waiting(lake: Lake, tmp_path: Path) -> None:
    defs = shop(tmp_path)
    land(lake, "shop", SHOP_DAY1)
    run_well(defs, "shop")
    land(lake, "shop", SHOP_DAY2)
    run_well(defs, "shop", asset_selection=[dg.AssetKey(["shop", "bronze_items"])])
    with dg.DagsterInstance.ephemeral() as instance:
        before = objects(lake, "silver", "quarantine")

        result = run_checks(defs, instance)

        assert result.success, failures(result)
        assert result.get_asset_materialization_events() == []
        assert objects(lake, "silver", "quarantine") == before
        taken = run_well(defs, "shop")
        assert {event.asset_key.path[-1] for event in taken.get_asset_materialization_events() if event.asset_key}
        assert objects(lake, "silver") != before


def test_a_blocking_check_that_fails_alone_shuts_the_gate_until_it_passes(lake: Lake, tmp_path: Path) -> None:
    with gated(tmp_path) as defs, dg.DagsterInstance.ephemeral() as instance:
        on = Platform(defs, lake, instance)
        on.land("shop", FIRST)
        assert on.run("shop").success
        items = lake.read("silver/shop/items/current.parquet")
        lake.write("silver/shop/items/current.parquet", parquet({"item_id": ["z"], "price": [1]}))

        failed = run_checks(defs, instance, SALES_KEY)

        said = checks(failed)["silver_sales", BLOCK]
        assert not said.passed
        assert "1 of 1 published rows" in (said.description or "")
        assert not on.run("shop", "silver_sales").success, "nothing new: what was found last stands"
        assert [one.check for one in on.gates("shop").failed[SALES]] == [BLOCK]

        lake.write("silver/shop/items/current.parquet", items or b"")
        assert run_checks(defs, instance, SALES_KEY).success
        assert on.gates("shop").failed == {}


def test_checks_alone_do_not_open_a_gate_that_a_waiting_batch_shut(lake: Lake, tmp_path: Path) -> None:
    with gated(tmp_path) as defs, dg.DagsterInstance.ephemeral() as instance:
        on = Platform(defs, lake, instance)
        on.land("shop", FIRST)
        assert on.run("shop").success
        on.land("shop", BAD_SALE)
        assert not on.run("shop").success

        alone = run_checks(defs, instance, SALES_KEY)

        assert checks(alone)["silver_sales", BLOCK].passed, "the published rows are in order"
        assert [one.check for one in on.gates("shop").failed[SALES]] == [BLOCK]
