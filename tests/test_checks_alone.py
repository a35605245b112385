"""Checks started alone, as the UI's "Execute checks" does: they are judged, and no table is materialized."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from scenario import QUIET, SHOP_DAY1, SHOP_DAY2, failures, land, objects, run_well, shop

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_resources.lake import Lake

ITEMS = dg.AssetKey(["shop", "silver_items"])


def run_checks(defs: dg.Definitions, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    """Every check of one silver table, and nothing else."""
    chosen = dg.AssetSelection.checks_for_assets(ITEMS)
    job = dg.define_asset_job("checks_alone", selection=chosen)
    found = dg.Definitions.merge(defs, dg.Definitions(jobs=[job])).resolve_job_def("checks_alone")
    return found.execute_in_process(instance=instance, raise_on_error=False, run_config=QUIET)


def test_checks_of_a_table_with_nothing_new_repeat_what_was_last_found(lake: Lake, tmp_path: Path) -> None:
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
        assert found["range_price"]["rows_broken"].value == 1
        assert objects(lake) == before


def test_checks_of_a_batch_that_waits_judge_it_and_leave_it_waiting(lake: Lake, tmp_path: Path) -> None:
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
