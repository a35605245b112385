"""A released row is taken in without a person starting a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from flowforge_resources.decisions import decide
from flowforge_resources.io_managers import LakeResource
from flowforge_resources.layout import TableId, utc_now
from flowforge_resources.quarantine_decisions import DecidedRow, record
from scenario import land, load, rows_of, run_well

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
        - {rule: range, column: price, min: 0}
"""
TABLE = TableId("shop", "items")


def tick(defs: dg.Definitions, cursor: str | None) -> tuple[list[dg.RunRequest], str | None]:
    repository = defs.get_repository_def()
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(
            instance=instance,
            cursor=cursor,
            repository_def=repository,
            sensor_name="shop_releases",
            resources={"lake": LakeResource()},
        )
        done = repository.get_sensor_def("shop_releases").evaluate_tick(context)
    return list(done.run_requests or []), done.cursor


def test_a_release_asks_for_one_run_of_its_table(tmp_path: Path, lake: Lake) -> None:
    defs = load(tmp_path, YAML)
    land(lake, "shop", {"items/1.csv": "item_id,price\na,1\nb,-2\n"})
    run_well(defs, "shop")
    requests, cursor = tick(defs, None)
    assert requests == []
    (held,) = rows_of(lake, TABLE.quarantine)
    for action, fixes in (("fix", {"price": "2"}), ("release", {})):
        row = DecidedRow(held["_quarantine_id"], fixes=fixes)
        said = (action, [row], decide(actor="ann", reason="a typo", now=utc_now()))
        record(lake, TABLE, lambda _, said=said: said)  # type: ignore[arg-type, misc]
        if action == "fix":
            requests, cursor = tick(defs, cursor)
            assert requests == [], "a fix alone waits"
    (request,), cursor = tick(defs, cursor)
    assert dg.AssetKey(TABLE.silver_key) in (request.asset_selection or [])
    assert tick(defs, cursor)[0] == [], "it is asked for once"
    (again,), _ = tick(defs, None)
    assert again.run_key == request.run_key, "also where the cursor was lost"
    run_well(defs, "shop", asset_selection=request.asset_selection)
    assert sorted((row["item_id"], row["price"]) for row in rows_of(lake, TABLE.current)) == [("a", 1), ("b", 2)]
    assert tick(defs, None)[0] == [], "nothing is due that a version holds"
