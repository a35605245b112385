"""`on_change: supersede`: a file's new version takes the place of its earlier one, as if that had never come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowforge_assets.cli.query import run_query
from scenario import land, load, metadata, rows_of, run_well

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
      on_change: supersede
      columns:
        - {name: item_id}
        - {name: label}
        - {name: price, type: integer}
      keys: [item_id]
      rules:
        - {rule: range, column: price, min: 0}
"""


def labels(lake: Lake) -> dict[str, str]:
    return {row["item_id"]: row["label"] for row in rows_of(lake, "silver/shop/items/current.parquet")}


def held(lake: Lake) -> list[str]:
    return sorted(row["item_id"] for row in rows_of(lake, "quarantine/shop/items/current.parquet"))


def test_the_earlier_versions_rows_go_and_what_they_had_hidden_comes_back(lake: Lake, tmp_path: Path) -> None:
    defs = load(tmp_path, YAML)
    land(lake, "shop", {"items/1.csv": "item_id,label,price\n1,first,1\n2,first,1\n"})
    run_well(defs, "shop")
    land(lake, "shop", {"items/2.csv": "item_id,label,price\n1,wrong,2\n3,wrong,2\n4,wrong,-1\n"})
    run_well(defs, "shop")
    land(lake, "shop", {"items/3.csv": "item_id,label,price\n3,later,3\n"})
    run_well(defs, "shop")
    assert (labels(lake), held(lake)) == ({"1": "wrong", "2": "first", "3": "later"}, ["4"])

    land(lake, "shop", {"items/2.csv": "item_id,label,price\n5,right,2\n"})
    result = run_well(defs, "shop")

    assert labels(lake) == {"1": "first", "2": "first", "3": "later", "5": "right"}
    assert held(lake) == []
    assert "superseded its earlier version" in metadata(result, "silver_items")["made_anew"]
    bronze = run_query("SELECT item_id, label FROM shop_bronze.items WHERE _source_file LIKE '%2.csv'", lake)
    assert bronze.rows == (("5", "right"),)
    again = run_well(defs, "shop")
    assert "made_anew" not in metadata(again, "silver_items")
    assert labels(lake) == {"1": "first", "2": "first", "3": "later", "5": "right"}


def test_both_versions_in_front_of_the_first_silver_run_leave_only_the_newer(lake: Lake, tmp_path: Path) -> None:
    defs = load(tmp_path, YAML)
    bronze = defs.resolve_job_def("shop")
    for text in ("1,old,1\n2,old,1", "2,new,1"):
        land(lake, "shop", {"items/1.csv": f"item_id,label,price\n{text}\n"})
        chosen = [key for key in bronze.asset_layer.executable_asset_keys if key.path[-1] == "bronze_items"]
        assert bronze.execute_in_process(asset_selection=chosen).success
    run_well(defs, "shop")
    assert labels(lake) == {"2": "new"}
    land(lake, "shop", {"items/2.csv": "item_id,label,price\n1,back,1\n"})
    run_well(defs, "shop")
    assert labels(lake) == {"1": "back", "2": "new"}
