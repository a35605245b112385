"""A sink as an asset: what its run says, what holds it, where its columns come from, and what is refused beforehand."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from flowforge_assets.components.known import known_tables
from flowforge_assets.lineage.edges import ColumnRef
from scenario import SHOP_DAY1, SHOP_DAY2, SHOP_SQL, SHOP_YAML, checks, land, load, metadata, run, run_well
from sink_targets import Target, new_target

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_resources.lake import Lake

TO = "{connection: shop, table: out, mode: upsert}"
SALES1 = [("north", 1, 2), ("north", 2, 1), ("south", 1, 5)]


@pytest.fixture
def target(tmp_path: Path) -> Target:
    found = new_target("sqlite", tmp_path, None)
    found.table = "out"
    return found


def with_sink(target: Target, to: str = TO, **attributes: str) -> str:
    """The workflow `shop` with a sink of its sales."""
    said = {"name": "out", "table": "sales", "columns": "[shop, number, quantity]"} | attributes
    fields = "".join(f"\n  {name}: {value}" for name, value in said.items())
    document = f"type: flowforge_assets.components.Sink\nattributes:{fields}\n  to: {to}\n"
    return "---\n".join([textwrap.dedent(SHOP_YAML).lstrip("\n"), target.yaml(), document])


def delivered(target: Target) -> list[tuple[object, ...]]:
    return [
        tuple(row)
        for row in target.run(
            "SELECT shop, number, quantity FROM {t} ORDER BY ALL"
            if target.kind == "duckdb"
            else "SELECT shop, number, quantity FROM {t} ORDER BY shop, number"
        )
    ]


def test_a_sink_delivers_what_its_table_has_and_says_how_much(target: Target, tmp_path: Path, lake: Lake) -> None:
    defs = load(tmp_path, with_sink(target), **SHOP_SQL)
    land(lake, "shop", SHOP_DAY1)
    first = run_well(defs, "shop")
    assert delivered(target) == SALES1
    said, check = metadata(first, "out"), checks(first)["out", "delivered"]
    assert (said["rows_inserted"], said["dagster/row_count"], said["target"], said["changed"]) == (3, 3, "out", True)
    assert check.passed
    assert check.metadata["rows_in_target"].value == 3
    asset = defs.resolve_assets_def(dg.AssetKey(["shop", "out"]))
    assert asset.specs_by_key[asset.key].kinds == {"sink", "sqlite"}
    assert asset.asset_deps[asset.key] == {dg.AssetKey(["shop", "silver_sales"])}

    again = run_well(defs, "shop")
    assert metadata(again, "out")["changed"] is False
    assert checks(again)["out", "delivered"].passed
    land(lake, "shop", SHOP_DAY2)
    second = run_well(defs, "shop")
    assert (metadata(second, "out")["rows_inserted"], metadata(second, "out")["rows_updated"]) == (1, 1)
    assert delivered(target) == [SALES1[0], ("north", 2, 4), SALES1[2], ("west", 1, 1)]


def test_a_shut_gate_holds_a_sink(target: Target, tmp_path: Path, lake: Lake) -> None:
    yaml = with_sink(target).replace("action: keep, severity: warn", "action: block")
    defs = load(tmp_path, yaml, **SHOP_SQL)
    land(lake, "shop", SHOP_DAY1)
    run(defs, "shop")
    later = run(defs, "shop", asset_selection=[dg.AssetKey(["shop", "out"])])
    assert not checks(later)["out", "upstream_gate"].passed
    assert not target.file.exists()


def test_an_append_of_a_table_without_keys_goes_by_its_audit_columns(
    target: Target, tmp_path: Path, lake: Lake
) -> None:
    events = """
        type: flowforge_assets.components.Table
        attributes: {name: events, strategy: append, columns: [{name: what}]}
    """
    sink = with_sink(target, "{connection: shop, table: out, mode: append}", table="events", columns="[what]")
    defs = load(tmp_path, "---\n".join([sink, textwrap.dedent(events).lstrip("\n")]), **SHOP_SQL)
    land(lake, "shop", {"events/a.csv": "what\nx\nx\n"} | SHOP_DAY1)
    run_well(defs, "shop")
    land(lake, "shop", {"events/b.csv": "what\nx\ny\n"})
    run_well(defs, "shop")
    assert target.run("SELECT what, _source_file, _row_number FROM {t} ORDER BY 2, 3") == [
        *(("x", "landing/shop/events/a.csv", 1), ("x", "landing/shop/events/a.csv", 2)),
        *(("x", "landing/shop/events/b.csv", 1), ("y", "landing/shop/events/b.csv", 2)),
    ]


def test_lineage_goes_on_into_a_sink(target: Target, tmp_path: Path) -> None:
    yaml = with_sink(
        target, columns="[revenue, item_key]", table="fact_sales", rename="{revenue: money}", where="quantity > 0"
    ).replace("mode: upsert", "mode: replace")
    defs = load(tmp_path, yaml, **SHOP_SQL)
    assert defs.component_tree is not None
    lineage = known_tables(defs.component_tree).lineage
    assert list(lineage.tables["shop.out"].columns or {}) == ["money", "item_key"]
    sources = {str(edge.source) for edge in lineage.upstream([ColumnRef("shop.out", "money")])}
    assert {"shop.fact_sales.revenue", "shop.silver_sales.quantity", "shop.landing_items.price"} <= sources
    assert "shop.fact_sales.quantity" in {str(edge.source) for edge in lineage.into[ColumnRef("shop.out", "")]}


WRONG = {
    "a table nobody makes": ({"table": "sale"}, TO, ("'sale'", "no document makes", "Did you mean 'sales'?")),
    "a column that is not there": (
        {"columns": "[shop, numbr]"},
        TO,
        ("`columns` of sink 'out' names the column 'numbr'", "Did you mean 'number'?"),
    ),
    "a condition with a typo": ({"where": "quantty > 1"}, TO, ("`where` of sink 'out' cannot be asked", "'quantty'")),
    "two columns of one name": ({"rename": "{shop: number}"}, TO, ("delivers two columns as 'number'",)),
    "a connection nobody declared": (
        {},
        "{connection: shp, table: out}",
        ("the connection 'shp' is not declared", "Did you mean 'shop'?"),
    ),
    "keys that are not delivered": (
        {"columns": "[shop]"},
        TO,
        ("`mode: upsert` and no keys", "not all delivered", "Declare `keys`"),
    ),
    "a key that is no column": (
        {},
        "{connection: shop, table: out, mode: upsert, keys: [nr]}",
        ("`keys` of sink 'out' names 'nr'", "not delivered"),
    ),
    "a field that is none": ({}, "{connection: shop, table: out, moda: append}", ("moda", "Did you mean 'mode'?")),
    "a mode that is none": (
        {},
        "{connection: shop, table: out, mode: merge}",
        ("mode", "'append', 'upsert' or 'replace'"),
    ),
    "an export among the lake's tables": ({}, "{files: silver/x, format: csv}", ("outside of `exports/`",)),
    "a partition that is not delivered": (
        {},
        "{files: exports/x, partition_by: [shp]}",
        ("`partition_by` of sink 'out' names 'shp'", "Did you mean 'shop'?"),
    ),
    "a store's password": ({}, "{files: 's3://me:hunter2@bucket/x'}", ("`files` holds a password or a key",)),
    "an option that is none": ({}, "{files: exports/x, format: csv, csv: {delimeter: ';'}}", ("csv.delimeter",)),
    "an endpoint with a typo": ({}, "{url: htps://crm.example.com/rows}", ("`url` is no address",)),
    "a key in an address": (
        {},
        "{url: 'https://crm.example.com/rows?api_key=k'}",
        ("`url` holds a password or a key",),
    ),
    "a secret written out": (
        {},
        "{url: 'https://crm.example.com/rows', headers: {X-Api-Key: k}}",
        ("`headers.X-Api-Key` looks like a secret", "env('X')"),
    ),
    "no target": ({}, "{table: out}", ("names no kind of target", "`connection`")),
    "deletes without upsert": (
        {},
        "{connection: shop, table: out, delete_missing: true}",
        ("`delete_missing` with `mode: replace`",),
    ),
    "the name of a table": ({"name": "sales"}, TO, ("'sales' is declared twice",)),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_delivered_is_refused_when_definitions_are_loaded(
    target: Target, tmp_path: Path, case: str
) -> None:
    attributes, to, wanted = WRONG[case]
    with pytest.raises(Exception) as refused:  # noqa: PT011  # Dagster wraps some
        load(tmp_path, with_sink(target, to, **attributes), **SHOP_SQL)
    said = str(refused.value) + str(refused.value.__cause__)
    assert "defs/shop/defs.yaml" in said
    for part in wanted:
        assert part in said, said


def test_a_read_only_connection_is_no_target(target: Target, tmp_path: Path) -> None:
    with pytest.raises(Exception) as refused:  # noqa: PT011  # Dagster wraps some
        load(tmp_path, with_sink(target).replace(", read_only: false", ""), **SHOP_SQL)
    assert "Declare `read_only: false` in connection 'shop'" in str(refused.value) + str(refused.value.__cause__)
