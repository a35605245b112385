"""Two days of a shop whose orders pass many transforms, one table that gets rows from another, and the books of it all."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from flowforge_assets.catalog import UnknownNameError, declared_workflows, require_table
from flowforge_assets.silver.rollback import newly_left_out, plan_rollback, roll_back
from flowforge_checks.books import Books
from flowforge_resources.layout import TableId
from scenario import checks, failures, land, load, metadata, objects, rows_of, run, run_well, state

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
  columns: [{name: item_id, type: integer}, {name: label}, {name: price, type: "decimal(10,2)"}]
  keys: [item_id]
---
type: flowforge_assets.components.Table
attributes:
  name: orders
  files: orders_*.csv
  landed_columns: [full name, lines, shop]
  columns:
    - {name: order_id}
    - {name: line, type: integer}
    - {name: item_id, source: Item}
    - {name: region}
    - {name: card, pii: true}
    - {name: first}
    - {name: last}
    - {name: quantity, type: integer}
    - {name: label}
    - {name: price, type: "decimal(10,2)"}
    - {name: total, type: "decimal(12,2)"}
    - {name: large, type: boolean}
  keys: [order_id, line]
  transforms:
    - {transform: filter, where: order_id <> 'TOTAL'}
    - {transform: trim, columns: [full name, shop], collapse: true}
    - {transform: case, columns: [full name], to: title}
    - {transform: split, column: full name, by: " ", into: [first, last]}
    - {transform: map_values, columns: [shop], values: {N: north, S: south, "": nowhere}}
    - {transform: rename, columns: {shop: region}}
    - {transform: mask, columns: [card], keep_last: 4}
    - {transform: route, where: order_id LIKE 'R%', to: returns}
    - {transform: explode, column: lines, by: ;}
    - {transform: split, column: lines, by: "*", into: [line, quantity]}
    - {transform: lookup, table: items, keys: [item_id], take: [label, price]}
    - {transform: cast}
    - {transform: derive, column: total, sql: quantity * price}
    - {transform: filter, where: quantity <> 0}
    - {transform: route, where: total > 1000, to: large_orders}
    - {transform: python, function: "own.py:mark", adds: {large: boolean}}
  rules:
    - {rule: range, column: quantity, max: 500}
---
type: flowforge_assets.components.Table
attributes:
  name: returns
  source_table: orders
  columns:
    - {name: order_id}
    - {name: customer, source: full name}
    - {name: region}
    - {name: lines}
  keys: [order_id]
  transforms:
    - {transform: replace, columns: [order_id], find: "^R", regex: true}
  rules:
    - {rule: matches, column: order_id, pattern: "[0-9]+"}
---
type: flowforge_assets.components.Table
attributes:
  name: large_orders
  source_table: orders
  columns:
    - {name: order_id}
    - {name: line, type: integer}
    - {name: total, type: "decimal(12,2)"}
  keys: [order_id, line]
"""
OWN = """
import polars as pl


def mark(frame: pl.LazyFrame) -> pl.LazyFrame:
    kept = frame.filter(pl.col("label").ne_missing("Gone"))
    return kept.with_columns(large=pl.col("total") > 20)
"""
DAY1 = {
    "items/items_1.csv": "item_id,label,price\n1,Spade,12.50\n2,Hoe,0.50\n3,Gone,1\n4,Digger,9000\n",
    "orders/orders_1.csv": (
        "order_id,full name,Item,lines,shop,card\n"
        "TOTAL,of day,1,1*1,N,1\n"  # filtered
        "10,  anne-MARIE   lee ,001,1*2;2*0;3*x,N,1234567890\n"  # one line filtered, one held
        "11,bob,2,1*501;2*600,S,123\n"  # two lines of one row held
        "12,cy dee,3,1*1,,\n"  # the function drops it
        "13,di o,4,1*1,X,1\n"  # routed as large
        "R14,ed foo,1,1*1,N,1\n"  # routed as a return
        "R1x,fay,1,1*1,N,1\n"  # routed, and held there
    ),
}
DAY2 = {
    "items/items_2.csv": "item_id,label,price\n1,Spade,13.50\n",
    "orders/orders_2.csv": (
        "order_id,full name,Item,lines,shop,card\n"
        "10,Anne-Marie Lee,1,1*3;4*1,N,1234567890\n"  # updated and inserted
        "R14,ed foo,1,1*2,S,1\n"
        "13,di o,4,1*1,X,1\n"
    ),
}
TABLES = ("orders", "returns", "large_orders")


def tables(folder: Path, yaml: str = YAML, own: str = OWN) -> dg.Definitions:
    return load(folder, yaml, **{"own.py": own})


def books(result: dg.ExecuteInProcessResult, table: str) -> dict[str, int]:
    said = {name: value for name, value in metadata(result, f"silver_{table}").items() if name in Books().as_dict()}
    assert Books.of(said).balances, said
    return {name: value for name, value in said.items() if value and not name.startswith("rows_")}


def silver(lake: Lake, table: str) -> list[dict[str, Any]]:
    rows = rows_of(lake, f"silver/shop/{table}/current.parquet")
    kept = [{name: value for name, value in row.items() if name[0] != "_" and name != f"{table}_key"} for row in rows]
    return sorted(kept, key=lambda row: [str(value) for value in row.values()])


def held(lake: Lake, table: str) -> list[tuple[str, list[str]]]:
    rows = rows_of(lake, f"quarantine/shop/{table}/current.parquet")
    assert len({row["_quarantine_id"] for row in rows}) == len(rows)
    return sorted((row["order_id"], [reason["rule"] for reason in row["_reasons"]]) for row in rows)


def test_two_days_of_transforms_with_balanced_books(tmp_path: Path, lake: Lake) -> None:
    defs = tables(tmp_path)
    land(lake, "shop", DAY1)
    first = run_well(defs, "shop")
    assert books(first, "orders") == {
        "read": 7,
        "exploded": 3,
        "inserted": 1,
        "quarantined": 3,
        "filtered": 3,
        "routed": 3,
    }
    assert books(first, "returns") == {"read": 2, "inserted": 1, "quarantined": 1}
    assert books(first, "large_orders") == {"read": 1, "inserted": 1}
    assert silver(lake, "orders") == [
        {
            "order_id": "10",
            "line": 1,
            "item_id": "001",
            "region": "north",
            "card": "******7890",
            "first": "Anne-Marie",
            "last": "Lee",
            "quantity": 2,
            "label": "Spade",
            "price": Decimal("12.50"),
            "total": Decimal("25.00"),
            "large": True,
        }
    ]
    assert silver(lake, "returns") == [{"order_id": "14", "customer": "Ed Foo", "region": "north", "lines": "1*1"}]
    assert silver(lake, "large_orders") == [{"order_id": "13", "line": 1, "total": Decimal("9000.00")}]
    assert held(lake, "orders") == [("10", ["type"]), ("11", ["range_quantity"]), ("11", ["range_quantity"])]
    assert held(lake, "returns") == [("R1x", ["matches_order_id"])]

    land(lake, "shop", DAY2)
    second = run_well(defs, "shop")
    assert books(second, "orders") == {"read": 3, "exploded": 1, "inserted": 1, "updated": 1, "routed": 2}
    assert books(second, "returns") == {"read": 1, "updated": 1}
    assert books(second, "large_orders") == {"read": 1, "unchanged": 1}
    assert [(row["line"], row["total"]) for row in silver(lake, "orders")] == [
        (1, Decimal("40.50")),
        (4, Decimal("13.50")),
    ]
    assert silver(lake, "returns") == [{"order_id": "14", "customer": "Ed Foo", "region": "south", "lines": "1*2"}]

    again = run_well(defs, "shop")
    assert [metadata(again, f"silver_{table}")["changed"] for table in TABLES] == [False] * 3


def test_raw_stays_raw_and_a_held_row_keeps_what_landed(tmp_path: Path, lake: Lake) -> None:
    land(lake, "shop", DAY1)
    result = run_well(tables(tmp_path), "shop")
    (bronze,) = [key for key in objects(lake, "bronze") if "/orders/run_" in key]
    assert rows_of(lake, bronze)[1]["full name"] == "  anne-MARIE   lee "
    (row,) = [row for row in rows_of(lake, "quarantine/shop/orders/current.parquet") if row["order_id"] == "10"]
    assert (row["lines"], row["Item"]) == ("1*2;2*0;3*x", "001")
    assert checks(result)["bronze_orders", "schema"].passed
    assert checks(result)["silver_orders", "transforms"].passed


def test_the_history_of_days_does_not_matter(tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """What two days left is what one run of both days leaves, and what making the tables anew leaves."""
    defs = tables(tmp_path / "1")
    # Items of day 2 first: a lookup reads the other table as it is when the row comes.
    land(
        lake,
        "shop",
        {"items/items_1.csv": DAY1["items/items_1.csv"], "orders/orders_1.csv": DAY1["orders/orders_1.csv"]},
    )
    run_well(defs, "shop")
    land(lake, "shop", {"orders/orders_2.csv": DAY2["orders/orders_2.csv"]})
    run_well(defs, "shop")
    two_days = state(lake)
    changed = tables(tmp_path / "2", own=OWN + "# the same, said otherwise\n")
    result = run_well(changed, "shop")
    assert "definition changed" in metadata(result, "silver_orders")["made_anew"]
    assert not metadata(result, "silver_returns")["changed"]
    assert state(lake) == two_days

    from flowforge_resources.lake import Lake as OtherLake

    monkeypatch.setenv("FLOWFORGE_LAKE_URL", str(tmp_path / "other"))
    at_once = OtherLake()
    land(at_once, "shop", {name: text for name, text in {**DAY1, **DAY2}.items() if "items_2" not in name})
    run_well(defs, "shop")
    for table in TABLES:
        assert silver(at_once, table) == silver(lake, table)


def test_a_route_that_changes_makes_both_tables_anew(tmp_path: Path, lake: Lake) -> None:
    land(lake, "shop", DAY1)
    run_well(tables(tmp_path / "1"), "shop")
    other = YAML.replace("where: order_id LIKE 'R%'", "where: order_id = 'R14'")
    result = run_well(tables(tmp_path / "2", other), "shop")
    assert books(result, "returns") == {"read": 1, "inserted": 1}
    assert books(result, "orders")["routed"] == 2
    assert held(lake, "returns") == []


def test_a_function_that_fails_changes_nothing_and_the_batch_comes_again(tmp_path: Path, lake: Lake) -> None:
    land(lake, "shop", DAY1)
    run_well(tables(tmp_path / "1"), "shop")
    before = objects(lake, "silver", "quarantine")
    land(lake, "shop", DAY2)
    broken = OWN.replace("> 20)", "> 20).select('_rid')")
    failed = run(tables(tmp_path / "2", own=broken), "shop")
    assert not failed.success
    assert "shop.orders, transform 16: the function returned no column" in failures(failed)
    after = objects(lake, "silver", "quarantine")
    assert {key: after[key] for key in before if "/orders/" in key} == {
        key: before[key] for key in before if "/orders/" in key
    }
    run_well(tables(tmp_path / "3"), "shop")
    assert [row["line"] for row in silver(lake, "orders")] == [1, 4]


def test_a_routed_table_has_no_landing_and_depends_on_the_bronze_it_reads(tmp_path: Path) -> None:
    defs = tables(tmp_path)
    graph = defs.resolve_asset_graph()
    assert dg.AssetKey(["shop", "bronze_returns"]) not in graph.get_all_asset_keys()
    parents = {
        table: sorted(key.path[1] for key in graph.get(dg.AssetKey(["shop", f"silver_{table}"])).parent_keys)
        for table in TABLES
    }
    assert parents == {
        "orders": ["bronze_orders", "silver_items"],
        "returns": ["bronze_orders"],
        "large_orders": ["bronze_orders", "silver_items"],
    }
    (folder,) = tmp_path.glob("project_*/defs")
    declared = declared_workflows(folder)["shop"]
    assert (sorted(declared.tables), declared.routed) == (["items", "orders"], ("returns", "large_orders"))
    with pytest.raises(
        UnknownNameError, match="'returns' has no landing: its rows come from a database, or another table"
    ):
        require_table(declared, "returns")


def test_a_routed_table_can_be_rolled_back(tmp_path: Path, lake: Lake) -> None:
    defs, table = tables(tmp_path), TableId("shop", "returns")
    land(lake, "shop", DAY1)
    run_well(defs, "shop")
    land(lake, "shop", DAY2)
    run_well(defs, "shop")
    plan = plan_rollback(lake, table, "1")
    assert [entry.version for entry in newly_left_out(lake, plan)] == [2]
    roll_back(lake, plan)
    assert [row["region"] for row in silver(lake, "returns")] == ["north"]
    assert not metadata(run_well(defs, "shop"), "silver_returns")["changed"]


def test_a_batch_without_rows_is_fine(tmp_path: Path, lake: Lake) -> None:
    land(
        lake,
        "shop",
        {
            "items/items_1.csv": "item_id,label,price\n1,Spade,1\n",
            "orders/orders_1.csv": "order_id,full name,Item,lines,shop,card\n",
        },
    )
    result = run_well(tables(tmp_path), "shop")
    assert [books(result, table) for table in TABLES] == [{}, {}, {}]


EXTRACTS = """
type: flowforge_assets.components.Workflow
---
type: flowforge_assets.components.Table
attributes:
  name: baskets
  columns: [{name: basket}, {name: item}]
  keys: [basket, item]
  delete_absent: delete
  transforms:
    - {transform: explode, column: item, by: ;}
    - {transform: lookup, table: prices, keys: [item], take: [price]}
---
type: flowforge_assets.components.Table
attributes:
  name: prices
  columns: [{name: item}, {name: price, type: integer}]
  keys: [item]
"""


def test_a_row_that_was_exploded_belongs_to_the_extract_it_came_with(tmp_path: Path, lake: Lake) -> None:
    defs = load(tmp_path, EXTRACTS)
    days = ["basket,item\na,1;2\nb,1;3\n", "basket,item\na,2;4\nb,1;3\n"]
    for number, day in enumerate(days):
        land(lake, "shop", {f"baskets/{number}.csv": day, "prices/p.csv": "item,price\n1,10\n"})
        result = run_well(defs, "shop")
    assert [tuple(row.values()) for row in silver(lake, "baskets")] == [("a", "2"), ("a", "4"), ("b", "1"), ("b", "3")]
    said = metadata(result, "silver_baskets")
    assert (said["read"], said["exploded"], said["inserted"], said["unchanged"]) == (2, 2, 1, 3)
