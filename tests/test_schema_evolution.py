"""Columns that come, go, move and change their names: what each `schema_evolution` makes of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from flowforge_resources.layout import TableId
from flowforge_resources.ledger import read_ledger
from scenario import checks, failures, land, load, objects, rows_of, run, run_well

if TYPE_CHECKING:
    from pathlib import Path

    import dagster as dg

    from flowforge_resources.lake import Lake

YAML = """
    type: flowforge_assets.components.Workflow
    attributes: {{description: A shop.}}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: items
      columns:
        - {{name: item_id, aliases: [Item Number]}}
        - {{name: label}}
        - {{name: price, type: integer}}
      keys: [item_id]
      {mode}
"""
FIRST = {"items/1.csv": "item_id,label,price\n1,one,10\n2,two,20\n"}
WIDER = {"items/2.csv": "item_id,label,colour,price\n3,three,red,30\n4,four,,40\n"}


def shop(folder: Path, mode: str = "") -> dg.Definitions:
    folder.mkdir(exist_ok=True)
    return load(folder, YAML.format(mode=f"schema_evolution: {mode}" if mode else ""))


def bronze(lake: Lake) -> list[dict[str, Any]]:
    entries = read_ledger(lake, TableId("shop", "items")).data_after(0)
    return [row for entry in entries for row in rows_of(lake, entry.bronze_file or "")]


def prices(lake: Lake) -> dict[str, int]:
    return {row["item_id"]: row["price"] for row in rows_of(lake, "silver/shop/items/current.parquet")}


@pytest.mark.parametrize("mode", ["", "add_new_columns", "add_new_columns_with_type_widening"])
def test_a_new_column_is_added_to_bronze_and_the_check_names_it_once(lake: Lake, tmp_path: Path, mode: str) -> None:
    defs = shop(tmp_path / "shop", mode)
    land(lake, "shop", FIRST)
    assert checks(run_well(defs, "shop"))["bronze_items", "schema"].passed
    land(lake, "shop", WIDER)
    assert "2.csv brings colour. Nothing was taken" in failures(run(defs, "shop"))
    told = checks(run_well(defs, "shop"))["bronze_items", "schema"]
    assert not told.passed
    assert "2.csv brings colour" in (told.description or "")
    assert told.metadata["columns_added"].value == ["colour"]
    assert [row.get("colour") for row in bronze(lake)] == [None, None, "red", ""]
    land(lake, "shop", {"items/3.csv": "item_id,label,colour,price\n5,five,blue,50\n"})
    assert checks(run_well(defs, "shop"))["bronze_items", "schema"].passed
    assert prices(lake) == {"1": 10, "2": 20, "3": 30, "4": 40, "5": 50}


def test_rescue_keeps_the_cells_of_a_new_column_beside_the_row(lake: Lake, tmp_path: Path) -> None:
    defs = shop(tmp_path / "shop", "rescue")
    land(lake, "shop", FIRST)
    run_well(defs, "shop")
    land(lake, "shop", {"items/2.csv": "item_id,label,colour,price\n3,three,red,30\n4,four,,40,more\n"})
    run_well(defs, "shop")
    later = [row for row in bronze(lake) if row["_source_file"].endswith("2.csv")]
    assert all("colour" not in row for row in later)
    rescued = [json.loads(row["_rescued"] or "[]") for row in later]
    assert {"column": "colour", "raw": "red", "why": "the table has no such column"} in rescued[0]
    assert any("more" in str(one) for one in rescued[1])


def test_fail_on_new_columns_takes_no_such_file_until_the_column_is_declared(lake: Lake, tmp_path: Path) -> None:
    defs = shop(tmp_path / "shop", "fail_on_new_columns")
    land(lake, "shop", FIRST)
    run_well(defs, "shop")
    before = objects(lake, "silver", "gold", "quarantine")
    land(lake, "shop", WIDER)
    result = run(defs, "shop")
    assert not result.success
    assert "'colour'" in failures(result)
    assert "fail_on_new_columns" in failures(result)
    assert objects(lake, "silver", "gold", "quarantine") == before
    yaml = YAML.format(mode="schema_evolution: fail_on_new_columns").replace(
        "- {name: label}", "- {name: label}\n        - {name: colour}"
    )
    (tmp_path / "declared").mkdir()
    run_well(load(tmp_path / "declared", yaml), "shop")
    assert prices(lake) == {"1": 10, "2": 20, "3": 30, "4": 40}


def test_none_leaves_a_new_column_out_and_says_so(lake: Lake, tmp_path: Path) -> None:
    defs = shop(tmp_path / "shop", "none")
    land(lake, "shop", FIRST)
    run_well(defs, "shop")
    many = [f"c{number:02d}" for number in range(53)]
    wide = {"items/3.csv": f"item_id,label,price,{','.join(many)}\n5,five,50{',' * 53}\n"}
    land(lake, "shop", {**WIDER, **wide})
    told = checks(run_well(defs, "shop"))["bronze_items", "schema"]
    assert "2.csv brings colour: left out" in (told.description or "")
    assert "c48, c49 and 3 more: left out" in (told.description or "")
    assert told.metadata["columns_added"].value == [*many, "colour"]
    assert all("colour" not in row and row["_rescued"] is None for row in bronze(lake))


@pytest.mark.parametrize(
    "header",
    ["price,label,item_id", "Item_ID, Label ,PRICE", "Item Number,label,price", "item number,LABEL,price"],
    ids=["reordered", "case and blanks", "alias", "alias in another case"],
)
def test_reordered_renamed_and_respelled_headers_are_the_same_columns(lake: Lake, tmp_path: Path, header: str) -> None:
    defs = shop(tmp_path / "shop", "fail_on_new_columns")
    land(lake, "shop", FIRST)
    run_well(defs, "shop")
    row = "30,three,3" if header.startswith("price") else "3,three,30"
    land(lake, "shop", {"items/2.csv": f"{header}\n{row}\n"})
    assert checks(run_well(defs, "shop"))["bronze_items", "schema"].passed
    assert prices(lake)["3"] == 30


def test_a_missing_column_is_null_and_named(lake: Lake, tmp_path: Path) -> None:
    defs = shop(tmp_path / "shop")
    land(lake, "shop", {"items/1.csv": "item_id,label\n1,one\n"})
    told = checks(run_well(defs, "shop"))["bronze_items", "schema"]
    assert told.metadata["columns_missing"].value == ["price"]
    assert prices(lake) == {"1": None}
