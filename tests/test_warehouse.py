"""`warehouse.duckdb`: all tables of a workflow in one file, of one build, swapped in while others read the old one."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import dagster as dg
import duckdb
import pytest

from flowforge_assets.gates.decisions import Asked, DeclaredGates, waive_check
from flowforge_assets.gold import warehouse
from flowforge_resources.gold_sets import read_set
from flowforge_resources.layout import utc_now
from flowforge_resources.published import read_published
from scenario import land, load, metadata, project, rows_of, run, run_well
from test_gold_dimensions import MASTER, USER
from test_gold_sets import BUILDS, BUILDS_SQL, land_build
from test_yaml import refusal

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_resources.lake import Lake

KEY = "gold/shop/warehouse.duckdb"
WITH_WAREHOUSE = (
    BUILDS.replace("{description: Builds", "{warehouse: true, description: Builds")
    .replace("{name: item_id}", "{name: item_id, description: what the shop calls it}")
    .replace("name: dim_item, keys", "name: dim_item, description: Items., keys")
)


@pytest.fixture
def shop(tmp_path: Path) -> dg.Definitions:
    return load(tmp_path, WITH_WAREHOUSE, **BUILDS_SQL)


def asked(lake: Lake, sql: str, key: str = KEY) -> list[Any]:
    """Rows of a query of the warehouse, opened as any reader opens a file."""
    with lake.scratch() as scratch:
        path = scratch.path(".duckdb")
        path.write_bytes(lake.read(key) or b"")
        with duckdb.connect(str(path), read_only=True) as connection:
            return connection.execute(sql).fetchall()


def test_the_warehouse_holds_all_silver_and_gold_with_what_is_said_of_them(
    any_lake: Lake, shop: dg.Definitions
) -> None:
    land_build(any_lake, 1)
    result = run_well(shop, "shop")

    tables = "SELECT schema_name, table_name, comment FROM duckdb_tables() ORDER BY ALL"
    assert asked(any_lake, tables) == [
        ("flowforge", "tables", None),
        ("gold", "dim_item", "Items."),
        ("gold", "fact_sales", None),
        ("silver", "items", None),
    ]
    said = "SELECT comment FROM duckdb_columns() WHERE table_name = 'items' AND column_name = 'item_id'"
    assert asked(any_lake, said) == [("Key. What the shop calls it.",)]
    for schema, name, key in (
        ("gold", "dim_item", "gold/shop/dim_item.parquet"),
        ("silver", "items", "silver/shop/items/current.parquet"),
    ):
        rows = sorted(tuple(row.values()) for row in rows_of(any_lake, key))
        found = asked(any_lake, f"SELECT * FROM {schema}.{name} ORDER BY ALL")
        assert [row[:3] for row in found] == [row[:3] for row in rows]
        published = read_published(any_lake, key)
        assert published is not None
        assert asked(any_lake, f"SELECT version, row_count FROM flowforge.tables WHERE table_name = '{name}'") == [
            (published.nonce, 2)
        ]
    said_of_it = metadata(result, "warehouse")
    assert (said_of_it["changed"], said_of_it["tables"]) == (True, 3)
    assert said_of_it["dagster/uri"] == any_lake.uri(KEY)


def test_a_warehouse_whose_tables_did_not_change_is_not_built_again(any_lake: Lake, shop: dg.Definitions) -> None:
    land_build(any_lake, 1)
    run_well(shop, "shop")
    before = any_lake.head(KEY)

    result = run_well(shop, "shop")

    assert any_lake.head(KEY) == before
    assert metadata(result, "warehouse")["changed"] is False


def test_a_changed_description_is_written(lake: Lake, shop: dg.Definitions, tmp_path: Path) -> None:
    land_build(lake, 1)
    run_well(shop, "shop")
    (tmp_path / "other").mkdir()
    run_well(load(tmp_path / "other", WITH_WAREHOUSE.replace("Items.", "Things."), **BUILDS_SQL), "shop")
    assert asked(lake, "SELECT comment FROM duckdb_tables() WHERE table_name = 'dim_item'") == [("Things.",)]


def test_a_warehouse_of_a_run_that_was_blocked_stays_of_the_build_before(lake: Lake, tmp_path: Path) -> None:
    null_key = "SELECT CASE WHEN build = 2 THEN NULL ELSE items_key END AS item_key, build FROM items"
    defs = load(tmp_path, WITH_WAREHOUSE, **BUILDS_SQL | {"fact_sales": null_key})
    land_build(lake, 1)
    run_well(defs, "shop")
    before = lake.head(KEY)
    land_build(lake, 2)

    assert not run(defs, "shop").success

    assert lake.head(KEY) == before
    # Waived for it alone, it is made of the last set and the silver that set was built from, which is in the archive.
    declared, asked_for = DeclaredGates.of(defs.component_tree), Asked("fact_sales", "key", "warehouse")
    waive_check(lake, declared, asked_for, by="ada", reason="known", until="1 day", now=utc_now())
    lake.delete(KEY)
    run_well(defs, "shop", asset_selection=[dg.AssetKey(["shop", "warehouse"])])
    assert asked(
        lake, "SELECT DISTINCT build FROM silver.items UNION ALL SELECT DISTINCT build FROM gold.dim_item"
    ) == [
        (1,),
        (1,),
    ]


def test_a_warehouse_waits_where_its_silver_is_gone(lake: Lake, shop: dg.Definitions) -> None:
    land_build(lake, 1)
    run_well(shop, "shop")
    before = lake.head(KEY)
    land_build(lake, 2)
    keys = ["bronze_items", "silver_items"]
    run_well(shop, "shop", asset_selection=[dg.AssetKey(["shop", key]) for key in keys])
    for found in list(lake.objects("silver/shop/items/archive/")):
        lake.delete(found.key)
    lake.delete("gold/shop/_warehouse.json")

    result = run_well(shop, "shop", asset_selection=[dg.AssetKey(["shop", "warehouse"])])

    assert "silver of shop.items moved on since gold was built" in metadata(result, "warehouse")["waits_for"]
    assert lake.head(KEY) == before


def test_before_the_first_set_there_is_no_warehouse(lake: Lake, shop: dg.Definitions) -> None:
    result = run_well(shop, "shop", asset_selection=[dg.AssetKey(["shop", "warehouse"])])
    assert metadata(result, "warehouse")["waits_for"] == "no gold set was published yet."
    assert lake.head(KEY) is None


READER = """
import duckdb, sys
with duckdb.connect(sys.argv[1], read_only=True) as connection:
    print(connection.execute("SELECT max(build) FROM gold.dim_item").fetchone(), flush=True)
    sys.stdin.readline()
    print(connection.execute("SELECT max(build), count(*) FROM silver.items").fetchone(), flush=True)
"""


def test_a_reader_of_the_old_warehouse_goes_on_while_the_next_one_comes(lake: Lake, shop: dg.Definitions) -> None:
    land_build(lake, 1)
    run_well(shop, "shop")
    arguments = [sys.executable, "-c", READER, f"{lake.local_root}/{KEY}"]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "(1,)\n"
        land_build(lake, 2)
        run_well(shop, "shop")
        said, _ = reader.communicate("go on\n")
    assert said == "(1, 2)\n"
    assert asked(lake, "SELECT max(build), count(*) FROM silver.items") == [(2, 2)]


def test_a_warehouse_that_another_run_swapped_is_not_overwritten(
    lake: Lake, shop: dg.Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    land_build(lake, 1)
    run_well(shop, "shop")
    built = warehouse._write

    def while_another_swaps(*args: Any) -> Path:
        lake.write(KEY, b"another run's")
        return built(*args)

    with monkeypatch.context() as patch:
        patch.setattr(warehouse, "_write", while_another_swaps)
        patch.setattr("flowforge_resources.retries._FIRST_WAIT_S", 0.0)
        land_build(lake, 2)
        result = run(shop, "shop")
    assert not result.success
    assert lake.read(KEY) == b"another run's"
    run_well(shop, "shop")
    assert asked(lake, "SELECT max(build) FROM gold.fact_sales") == [(2,)]


def test_shared_dimensions_lie_in_a_schema_of_their_workflow(lake: Lake, tmp_path: Path) -> None:
    sql = {
        "dim_item": "SELECT items_key AS item_key, item_id, label FROM items",
        "fact_orders": "SELECT number, item_id FROM orders",
    }
    land(lake, "master", {"items/i.csv": "item_id,label\n7,Spade\n"})
    land(lake, "user", {"orders/o.csv": "number,item_id\n1,7\n"})
    user = USER.replace("{description: Who shares", "{warehouse: true, description: Who shares")
    with project(tmp_path, {"master": MASTER, "user": user}, **sql) as defs:
        run_well(defs, "master")
        run_well(defs, "user")
    joined = "SELECT number, label FROM gold.fact_orders JOIN gold_master.dim_item USING (item_key)"
    assert asked(lake, joined, "gold/user/warehouse.duckdb") == [(1, "Spade")]


def test_a_workflow_without_models_can_have_a_warehouse(lake: Lake, tmp_path: Path) -> None:
    tables_only = "---".join(part for part in WITH_WAREHOUSE.split("---") if "components.Model" not in part)
    land_build(lake, 3)
    run_well(load(tmp_path, tables_only), "shop")
    assert asked(lake, "SELECT DISTINCT build FROM silver.items") == [(3,)]
    assert read_set(lake, "shop") is None


def test_names_of_our_assets_are_taken(tmp_path: Path) -> None:
    said = refusal(tmp_path, BUILDS.replace("name: dim_item,", "name: gold_published,"), **BUILDS_SQL)
    assert "'gold_published' is the name of an asset that FlowForge makes" in said
