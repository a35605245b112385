"""Two workflows behind one gate: `shop`, whose sales are blocked by an item nobody knows, and `report`, made from it.

Belongs here: the documents, runs, and what the lake and the sensors say. Does not: any expectation.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dagster as dg

from flowforge_resources.gates import read_gates
from flowforge_resources.io_managers import LakeResource
from scenario import QUIET, land, project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flowforge_resources.gates import Gates
    from flowforge_resources.lake import Lake

SALES, FACT, AGG = "shop/silver_sales", "report/fact_report", "report/agg_report"
BLOCK = "references_item_id"
SHOP = """
    type: flowforge_assets.components.Workflow
    attributes: {description: A shop.}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: items
      columns: [{name: item_id}, {name: price, type: integer}]
      keys: [item_id]
      rules: [{rule: range, column: price, min: 0, action: keep}]
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: sales
      columns: [{name: number, type: integer}, {name: item_id}]
      keys: [number]
      rules: [{rule: references, column: item_id, table: items, action: ACTION}]
"""
REPORT = """
    type: flowforge_assets.components.Workflow
    attributes: {description: Made from the shop., SCHEDULE}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: targets
      columns: [{name: item_id}, {name: target, type: integer}]
      keys: [item_id]
    ---
    type: flowforge_assets.components.Model
    attributes: {name: fact_report, keys: [number], automation: eager, GATES}
    ---
    type: flowforge_assets.components.Model
    attributes: {name: agg_report}
"""
# The sales have as many items as there are.
RECONCILED = """
    ---
    type: flowforge_assets.components.Reconciliation
    attributes: {name: items_sold, left: items, right: sales, action: block, measures: [{measure: distinct_count, column: item_id}]}
"""
SQL = {
    "fact_report": "SELECT s.number, t.target FROM shop.sales AS s LEFT JOIN targets AS t USING (item_id) ORDER BY number",
    "agg_report": "SELECT count(*) AS sold, sum(target) AS target FROM fact_report",
}
FIRST = {"items/1.csv": "item_id,price\na,1\n", "sales/1.csv": "number,item_id\n1,a\n"}
BAD_SALE = {"sales/2.csv": "number,item_id\n2,b\n"}
MISSING_ITEM = {"items/2.csv": "item_id,price\nb,2\n"}


@contextmanager
def gated(
    folder: Path,
    *,
    action: str = "block",
    gates: str = "tags: {}",
    schedule: str = "sensor_interval_s: 5",
    more: str = "",
) -> Iterator[dg.Definitions]:
    """The definitions of both workflows; `more`: documents of the shop."""
    documents = {
        "shop": SHOP.replace("ACTION", action).replace("A shop.", "A shop., sensor_interval_s: 5") + more,
        "report": REPORT.replace("GATES", gates).replace("SCHEDULE", schedule),
    }
    with project(folder, documents, **SQL) as defs:
        yield defs


class Platform:
    """Runs of both workflows on one instance, and ticks of their sensors."""

    def __init__(self, defs: dg.Definitions, lake: Lake, instance: dg.DagsterInstance) -> None:
        self.defs, self.lake, self.instance = defs, lake, instance
        self._cursors: dict[str, str | None] = {}

    def land(self, workflow: str, files: dict[str, str]) -> None:
        land(self.lake, workflow, files)

    def run(self, workflow: str, *names: str, **options: Any) -> dg.ExecuteInProcessResult:
        """A run of a workflow's job, or of some of its assets."""
        job = self.defs.resolve_job_def(workflow)
        chosen = [dg.AssetKey([workflow, name]) for name in names]
        options |= {"asset_selection": chosen} if chosen else {}
        return job.execute_in_process(instance=self.instance, run_config=QUIET, raise_on_error=False, **options)

    def gates(self, workflow: str) -> Gates:
        return read_gates(self.lake, workflow)

    def tick(self, workflow: str) -> set[str]:
        """The assets that the sensor of a workflow's gates asks for."""
        repository = self.defs.get_repository_def()
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self._cursors.get(workflow),
            repository_def=repository,
            sensor_name=f"{workflow}_gates",
            resources={"lake": LakeResource()},
        )
        done = repository.get_sensor_def(f"{workflow}_gates").evaluate_tick(context)
        self._cursors[workflow] = done.cursor
        return {"/".join(key.path) for request in done.run_requests or [] for key in request.asset_selection or []}


def first_good_runs(folder: Path, lake: Lake) -> None:
    """A lake on which both workflows ran well once."""
    with gated(folder) as defs, dg.DagsterInstance.ephemeral() as instance:
        made = Platform(defs, lake, instance)
        made.land("shop", FIRST)
        made.land("report", {"targets/1.csv": "item_id,target\na,10\n"})
        assert made.run("shop").success
        assert made.run("report").success


@contextmanager
def platform(folder: Path, lake: Lake, **options: str) -> Iterator[Platform]:
    """Both workflows on a lake, with an instance that knows nothing yet."""
    with gated(folder, **options) as defs, dg.DagsterInstance.ephemeral() as instance:
        yield Platform(defs, lake, instance)


def published(result: dg.ExecuteInProcessResult) -> set[str]:
    """The assets that a run materialized."""
    return {"/".join(event.asset_key.path) for event in result.get_asset_materialization_events() if event.asset_key}
