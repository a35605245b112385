"""Downstream automation waits for blocking checks: in this run, in later ticks, and until they pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from scenario import QUIET, land, load, objects

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_resources.lake import Lake

YAML = """
    type: flowforge_assets.components.Workflow
    attributes: {description: A shop.}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: items
      columns:
        - {name: item_id}
        - {name: price, type: integer}
      keys: [item_id]
      rules:
        - {rule: range, column: price, min: 0, action: block}
    ---
    type: flowforge_assets.components.Model
    attributes:
      name: dim_item
      keys: [item_key]
      automation: eager
"""
SQL = {"dim_item": "SELECT items_key AS item_key, item_id, price FROM items"}
GOLD = dg.AssetKey(["shop", "dim_item"])


class Daemon:
    """Ticks of the automation sensor, and runs that take the tables in front of gold."""

    def __init__(self, defs: dg.Definitions, instance: dg.DagsterInstance) -> None:
        self.defs, self.instance = defs, instance
        self.cursor: object = None

    def tick(self) -> bool:
        """Whether the tick asks for gold."""
        said = dg.evaluate_automation_conditions(
            defs=self.defs, instance=self.instance, cursor=self.cursor, asset_selection=dg.AssetSelection.assets(GOLD)
        )
        self.cursor = said.cursor
        return said.get_num_requested(GOLD) > 0

    def run(self, *names: str) -> bool:
        job = self.defs.resolve_job_def("shop")
        chosen = [key for key in job.asset_layer.executable_asset_keys if key.path[-1] in names]
        done = job.execute_in_process(
            asset_selection=chosen, instance=self.instance, run_config=QUIET, raise_on_error=False
        )
        return done.success


def test_gold_is_rebuilt_after_its_input_and_never_behind_a_failed_blocking_check(lake: Lake, tmp_path: Path) -> None:
    defs = load(tmp_path, YAML, **SQL)
    with dg.DagsterInstance.ephemeral() as instance:
        daemon = Daemon(defs, instance)
        daemon.tick()
        land(lake, "shop", {"items/1.csv": "item_id,price\n1,10\n"})
        assert daemon.run("bronze_items", "silver_items")
        assert daemon.tick(), "the input changed and passed"
        assert daemon.run("dim_item")
        assert not daemon.tick()
        published = objects(lake, "silver", "gold")

        land(lake, "shop", {"items/2.csv": "item_id,price\n2,-1\n"})
        assert not daemon.run("bronze_items", "silver_items", "dim_item"), "the blocking rule fails the run"
        assert not any(daemon.tick() for _ in range(3)), "neither this tick nor a later one goes past it"
        assert objects(lake, "silver", "gold") == published, "nothing was published"

        land(lake, "shop", {"items/2.csv": "item_id,price\n2,20\n"})
        assert not daemon.run("bronze_items", "silver_items"), "the bad row is still in bronze"
        assert not daemon.tick()
