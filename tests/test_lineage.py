"""Column lineage from the landing file to gold: which edges there are, where they are recorded, how they are shown."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from typer.testing import CliRunner

from flowforge_assets.cli.app import app
from flowforge_assets.cli.lineage import declared_lineage
from flowforge_assets.components.known import known_tables
from flowforge_assets.lineage.edges import ColumnRef
from flowforge_assets.lineage.graph import Lineage, UnknownColumnError
from scenario import SHOP_DAY1, SHOP_SQL, SHOP_YAML, land, load, project, run_well

if TYPE_CHECKING:
    from flowforge_resources.lake import Lake

PAGE = "_flowforge/lineage/shop.html"


def lineage_of(defs: dg.Definitions) -> Lineage:
    assert defs.component_tree is not None
    return known_tables(defs.component_tree).lineage


def into(lineage: Lineage, table: str, column: str) -> set[str]:
    return {f"{edge.source} {edge.kind}" for edge in lineage.into.get(ColumnRef(table, column), ())}


def test_a_column_is_followed_from_the_landed_file_to_gold() -> None:
    found = declared_lineage()
    assert into(found, "retail.bronze_orders", "status") == {"retail.landing_orders.status identity"}
    assert into(found, "retail.silver_orders", "status") == {"retail.bronze_orders.status identity"}
    assert into(found, "retail.silver_orders", "order_date") == {"retail.bronze_orders.order_date transformation"}
    assert into(found, "retail.silver_order_items", "order_items_key") == {
        "retail.bronze_order_items.order_id transformation",
        "retail.bronze_order_items.line_number transformation",
    }
    assert into(found, "retail.silver_orders", "_source_file") == {"retail.bronze_orders._source_file identity"}
    assert into(found, "retail.dim_customer", "full_name") == {"retail.silver_customers.full_name identity"}
    assert into(found, "retail.fact_sales", "revenue") == {
        f"retail.silver_order_items.{name} transformation" for name in ("quantity", "unit_price", "discount_percent")
    }
    assert into(found, "retail.agg_sales_by_month", "revenue") == {"retail.fact_sales.revenue aggregation"}
    assert "retail.silver_orders.order_id join" in into(found, "retail.fact_sales", "")


def test_every_edge_joins_columns_that_there_are() -> None:
    found = declared_lineage()
    for edge in found.edges:
        for ref in (edge.source, edge.target):
            assert not ref.column or ref.column in (found.tables[ref.table].columns or {}), edge
    assert all(not node.unknown for node in found.tables.values())


def test_what_holds_rows_back_and_orders_them_decides_on_silvers_rows() -> None:
    found = into(declared_lineage(), "retail.silver_orders", "")
    assert found == {
        f"retail.bronze_orders.{name} filter" for name in ("status", "ship_date", "order_date", "updated_at")
    }


ALIASES = """
    type: flowforge_assets.components.Workflow
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: people
      columns:
        - {name: person_id, source: Id, aliases: [ID_NO, Nr]}
        - {name: born, type: date, source: Birth}
      keys: [person_id]
"""


def test_aliases_and_sources_lead_to_the_column_they_stand_for(tmp_path: Path) -> None:
    found = lineage_of(load(tmp_path, ALIASES))
    assert into(found, "shop.bronze_people", "Id") == {
        f"shop.landing_people.{name} identity" for name in ("Id", "ID_NO", "Nr")
    }
    assert into(found, "shop.silver_people", "person_id") == {"shop.bronze_people.Id identity"}
    assert into(found, "shop.silver_people", "born") == {"shop.bronze_people.Birth transformation"}


TRANSFORMED = """
    type: flowforge_assets.components.Workflow
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: cities
      columns: [{name: city_id, type: integer}, {name: city, pii: true}]
      keys: [city_id]
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: people
      landed_columns: [first, last, kind]
      columns:
        - {name: person_id}
        - {name: email, source: E-Mail}
        - {name: phone}
        - {name: full_name}
        - {name: contact}
        - {name: place, type: integer}
        - {name: city}
      keys: [person_id]
      transforms:
        - {transform: filter, where: kind <> 'test'}
        - {transform: concatenate, columns: [first, last], into: full_name}
        - {transform: hash, columns: [email]}
        - {transform: mask, columns: [phone]}
        - {transform: derive, column: contact, sql: upper(email || full_name)}
        - {transform: route, where: kind = 'firm', to: firms}
        - {transform: lookup, table: cities, keys: {place: city_id}, take: [city]}
        - {transform: cast}
        - {transform: filter, where: place > 0}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: firms
      source_table: people
      columns: [{name: firm_id, source: person_id}, {name: label}, {name: mail, source: email}, {name: kind}]
      keys: [firm_id]
      transforms:
        - {transform: rename, columns: {full_name: label}}
"""


def test_transforms_are_gone_through_in_order(tmp_path: Path) -> None:
    found = lineage_of(load(tmp_path, TRANSFORMED))
    bronze, silver = "shop.bronze_people", "shop.silver_people"
    assert into(found, bronze, "kind") == {"shop.landing_people.kind identity"}
    assert "full_name" not in (found.tables[bronze].columns or {})
    assert into(found, silver, "email") == {f"{bronze}.E-Mail masked"}
    assert into(found, silver, "phone") == {f"{bronze}.phone masked"}
    assert into(found, silver, "full_name") == {f"{bronze}.first transformation", f"{bronze}.last transformation"}
    assert into(found, silver, "contact") == {f"{bronze}.E-Mail masked", *into(found, silver, "full_name")}
    assert into(found, silver, "place") == {f"{bronze}.place transformation"}
    assert into(found, silver, "city") == {"shop.silver_cities.city identity"}
    assert into(found, silver, "") == {
        f"{bronze}.kind filter", f"{bronze}.place filter", f"{bronze}.place join", "shop.silver_cities.city_id join",
    }  # fmt: skip


def test_a_routed_table_comes_from_the_bronze_of_the_table_that_routes_to_it(tmp_path: Path) -> None:
    found = lineage_of(load(tmp_path, TRANSFORMED))
    bronze, silver = "shop.bronze_people", "shop.silver_firms"
    assert not {"shop.bronze_firms", "shop.landing_firms"} & set(found.tables)
    assert into(found, silver, "firm_id") == {f"{bronze}.person_id identity"}
    assert into(found, silver, "mail") == {f"{bronze}.E-Mail masked"}
    assert into(found, silver, "label") == {f"{bronze}.first transformation", f"{bronze}.last transformation"}
    assert into(found, silver, "_row_number") == {f"{bronze}._row_number identity"}
    assert into(found, silver, "") == {f"{bronze}.kind filter"}


ROWS = """
    type: flowforge_assets.components.Workflow
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: things
      landed_columns: [parts, jan, feb, other, Alt]
      columns:
        - {name: thing_id, source: Id}
        - {name: title}
        - {name: part}
        - {name: month}
        - {name: total, type: integer}
        - {name: size}
      keys: [thing_id, part, month]
      transforms:
        - {transform: rename, columns: {other: size, Alt: title}}
        - {transform: trim, columns: [title]}
        - {transform: coalesce, columns: [title, size], into: title}
        - {transform: explode, column: parts, by: ";", into: part}
        - {transform: unpivot, columns: [jan, feb], names_to: month, values_to: total}
"""


def test_explode_and_unpivot_say_what_becomes_a_row_and_what_a_value(tmp_path: Path) -> None:
    found = lineage_of(load(tmp_path, ROWS))
    bronze, silver = "shop.bronze_things", "shop.silver_things"
    assert into(found, silver, "size") == {f"{bronze}.other identity"}
    assert into(found, silver, "title") == {f"{bronze}.Alt transformation", f"{bronze}.other transformation"}
    assert into(found, silver, "part") == {f"{bronze}.parts transformation"}
    assert into(found, silver, "month") == set()
    assert into(found, silver, "total") == {f"{bronze}.jan transformation", f"{bronze}.feb transformation"}
    assert into(found, silver, "") == {f"{bronze}.parts filter"}


def test_behind_a_python_function_a_column_may_be_made_of_any(tmp_path: Path) -> None:
    yaml = """
        type: flowforge_assets.components.Workflow
        ---
        type: flowforge_assets.components.Table
        attributes:
          name: things
          columns: [{name: thing_id}, {name: score, type: float}]
          keys: [thing_id]
          landed_columns: [text]
          transforms: [{transform: python, function: "own.py:score", adds: {score: float}}]
    """
    found = lineage_of(load(tmp_path, yaml, **{"own.py": "def score(rows):\n    return rows\n"}))
    every = {f"shop.bronze_things.{name} transformation" for name in ("thing_id", "text")}
    assert into(found, "shop.silver_things", "thing_id") == into(found, "shop.silver_things", "score") == every


HISTORY = """
    type: flowforge_assets.components.Workflow
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: people
      columns: [{name: person_id}, {name: city}, {name: said, type: integer}, {name: operation}]
      keys: [person_id]
      sequence_by: [said]
      strategy: scd2
      apply_as_delete_when: operation = 'D'
      except_columns: [operation]
"""


def test_what_history_adds_comes_of_the_keys_and_of_what_orders_the_rows(tmp_path: Path) -> None:
    found = lineage_of(load(tmp_path, HISTORY))
    bronze, silver = "shop.bronze_people", "shop.silver_people"
    assert list(found.tables[silver].columns or {}) == [
        "people_key", "people_version_key", "person_id", "city", "said", "valid_from", "valid_to", "is_current",
        "_source_file", "_row_number", "_ingested_at",
    ]  # fmt: skip
    for column in ("people_version_key", "valid_from", "valid_to", "is_current"):
        assert into(found, silver, column) == {f"{bronze}.person_id transformation", f"{bronze}.said transformation"}
    assert into(found, silver, "people_key") == {f"{bronze}.person_id transformation"}
    assert into(found, silver, "") == {f"{bronze}.said filter", f"{bronze}.operation filter"}


# -- recorded ---------------------------------------------------------------------------------------------------------


def recorded(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, Any]]:
    """Metadata of every table; the set of published ones has no columns."""
    return {
        event.asset_key.path[-1]: {name: value.value for name, value in event.materialization.metadata.items()}
        for event in result.get_asset_materialization_events()
        if event.asset_key and event.asset_key.path[-1] != "gold_published"
    }


def test_every_materialization_carries_its_column_lineage(tmp_path: Path, lake: Lake) -> None:
    land(lake, "shop", SHOP_DAY1)
    found = recorded(run_well(load(tmp_path, SHOP_YAML, **SHOP_SQL), "shop"))
    assert len(found) == 6
    lineage: dg.TableColumnLineage = found["fact_sales"]["dagster/column_lineage"]
    said = {
        column: {("/".join(dep.asset_key.path), dep.column_name) for dep in deps}
        for column, deps in lineage.deps_by_column.items()
    }
    assert said == {
        "sales_key": {("shop/silver_sales", "sales_key")},
        "item_key": {("shop/dim_item", "item_key")},
        "quantity": {("shop/silver_sales", "quantity")},
        "revenue": {("shop/silver_sales", "quantity"), ("shop/dim_item", "price")},
    }
    (dep,) = found["bronze_items"]["dagster/column_lineage"].deps_by_column["price"]
    assert (dep.asset_key.path, dep.column_name) == (["shop", "landing_items"], "price")
    assert found["silver_items"]["dagster/column_lineage"].deps_by_column["items_key"][0].column_name == "item_id"


def test_the_page_is_written_when_the_definition_changes_and_only_then(tmp_path: Path, lake: Lake) -> None:
    land(lake, "shop", SHOP_DAY1)
    found = recorded(run_well(load(tmp_path / "1", SHOP_YAML, **SHOP_SQL), "shop"))
    assert {one["lineage"] for one in found.values()} == {str((lake.local_root or Path()) / PAGE)}
    first = lake.head(PAGE)
    run_well(load(tmp_path / "2", SHOP_YAML, **SHOP_SQL), "shop")
    assert lake.head(PAGE) == first
    changed = SHOP_SQL | {"dim_item": SHOP_SQL["dim_item"].replace("label,", "upper(label) AS label,")}
    run_well(load(tmp_path / "3", SHOP_YAML, **changed), "shop")
    assert lake.head(PAGE) != first


def test_on_a_remote_lake_the_page_is_named_by_its_uri(tmp_path: Path, s3_lake: Lake) -> None:
    land(s3_lake, "shop", SHOP_DAY1)
    found = recorded(run_well(load(tmp_path, SHOP_YAML, **SHOP_SQL), "shop"))
    assert found["dim_item"]["lineage"] == s3_lake.uri(PAGE)
    assert b"dim_item" in (s3_lake.read(PAGE) or b"")


def test_the_page_needs_nothing_beside_it_and_no_text_breaks_out(tmp_path: Path, lake: Lake) -> None:
    yaml = SHOP_YAML.replace("{name: label}", '{name: label, description: "</script><script>alert(1)</script>"}')
    land(lake, "shop", SHOP_DAY1)
    run_well(load(tmp_path, yaml, **SHOP_SQL), "shop")
    page = (lake.read(PAGE) or b"").decode()
    assert not re.findall(r"""(?:src|href)\s*=|https?://(?!www\.w3\.org/2000/svg)|@import|url\(""", page)
    assert page.count("</script>") == 2
    assert "alert(1)" in page


def test_a_workflows_page_shows_what_it_reads_of_others(tmp_path: Path) -> None:
    report = """
        type: flowforge_assets.components.Workflow
        ---
        type: flowforge_assets.components.Table
        attributes: {name: own, columns: [{name: a}], keys: [a]}
        ---
        type: flowforge_assets.components.Model
        attributes: {name: both}
    """
    lone = "type: flowforge_assets.components.Workflow\n---\ntype: flowforge_assets.components.Table\nattributes: {name: far, columns: [{name: a}], keys: [a]}\n"
    files = SHOP_SQL | {"both": "SELECT a, label FROM own, shop.dim_item"}
    with project(tmp_path, {"shop": SHOP_YAML, "report": report, "lone": lone}, **files) as defs:
        found = lineage_of(defs)
    around = found.around("report")
    assert {"report.both", "shop.dim_item", "shop.silver_items", "shop.landing_items"} <= set(around.tables)
    assert not {"lone.silver_far", "shop.fact_sales"} & set(around.tables)
    assert into(found, "report.both", "label") == {"shop.dim_item.label identity"}


# -- shown ------------------------------------------------------------------------------------------------------------


def told(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["lineage", *arguments], env={"COLUMNS": "120"})
    assert result.exception is None, result.exception
    return result.output


def test_a_column_is_shown_as_a_tree_with_kinds() -> None:
    said = told("fact_sales.revenue")
    lines = [line.strip("│├└─ ") for line in said.splitlines()]
    up = lines.index("retail.silver_order_items.quantity  transformation")
    assert lines[up + 1] == "retail.bronze_order_items.quantity  transformation"
    assert lines[up + 2] == "retail.landing_order_items.quantity  identity"
    assert "retail.dim_date.day  join" in lines
    assert lines[-1] == "retail.agg_sales_by_month.revenue  aggregation"


def test_one_direction_is_shown_alone() -> None:
    assert "goes to" not in told("fact_sales.revenue", "--upstream")
    assert "comes from" not in told("fact_sales.revenue", "--downstream")


@pytest.mark.parametrize("name", ["retail.customers.city", "customers.city", "silver_customers.city"])
def test_a_silver_table_is_found_by_each_of_its_names(name: str) -> None:
    assert told(name).startswith("retail.silver_customers.city  text")


def test_a_table_is_shown_with_all_of_its_columns() -> None:
    said = told("dim_country")
    assert "← retail.silver_countries.countries_key  identity" in said
    assert "→ retail.dim_customer.country_key  transformation" in said
    assert "which rows there are" in said
    assert "retail.fact_sales" in told()


def test_the_edges_are_there_for_programs() -> None:
    found = json.loads(told("fact_sales.revenue", "--json", "-u"))
    assert (found["table"], found["column"]) == ("retail.fact_sales", "revenue")
    landed = {one["source"]["column"] for one in found["upstream"] if "landing" in one["source"]["table"]}
    assert landed == {"quantity", "unit_price", "discount_percent"}
    assert {one["kind"] for one in found["upstream"]} == {"identity", "transformation", "join"}
    assert "downstream" not in found


def test_the_page_is_written_where_asked(tmp_path: Path) -> None:
    told("fact_sales", "--html", str(tmp_path / "page.html"))
    assert "dim_customer" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("dim_customr", "Did you mean 'dim_customer'?"),
        ("fact_sales.revenu", "retail.fact_sales has no column 'revenu'. Did you mean 'revenue'?"),
        ("retail.fact_sales.revenu", "retail.fact_sales has no column 'revenu'"),
        ("nowhere.at.all", "There is no table 'nowhere.at.all'"),
    ],
)
def test_a_name_nobody_has_is_answered_with_the_nearest(name: str, wanted: str) -> None:
    with pytest.raises(UnknownColumnError) as caught:
        declared_lineage().find(name)
    assert wanted in str(caught.value)


def test_what_is_known_is_loaded_without_the_parser_and_the_engine() -> None:
    """Once analysed, a start neither parses nor asks DuckDB: the two cost 0.2 CPU seconds of import alone."""
    code = (
        "import sys, flowforge_assets.definitions; print({'sqlglot', 'duckdb', 'polars', 'pyarrow'} & set(sys.modules))"
    )
    said = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        for _ in range(2)
    ]
    assert "sqlglot" in said[0]
    assert said[1] == "set()"
