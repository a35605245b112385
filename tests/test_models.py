"""A gold model's YAML against its SQL, and the tests it declares: what is refused, what is counted, what blocks."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import duckdb
import pytest

from flowforge_assets.components.known import known_tables
from flowforge_resources.layout import ModelId, TableId
from scenario import SHOP_DAY1, SHOP_DAY2, SHOP_SQL, SHOP_YAML, checks, land, load, metadata, rows_of, run, run_well

if TYPE_CHECKING:
    from flowforge_resources.lake import Lake

FACT = "      keys: [sales_key]\n      foreign_keys: [{column: item_key, model: dim_item}]\n"


def shop_with(fact: str) -> str:
    """The small workflow, with more said of `fact_sales`."""
    assert FACT in SHOP_YAML
    return SHOP_YAML.replace(FACT, FACT + textwrap.indent(textwrap.dedent(fact).strip("\n"), " " * 6) + "\n")


def refusal(folder: Path, yaml: str, **sql: str) -> str:
    with pytest.raises(Exception) as caught:  # noqa: PT011  # Dagster wraps ours in several of its own
        load(folder, yaml, **(SHOP_SQL | sql))
    said, error = [], caught.value
    while error is not None:
        said.append(str(error))
        error = error.__cause__ or error.__context__
    return "\n".join(said)


# What is said of `fact_sales`, and what must be answered.
WRONG: dict[str, tuple[str, tuple[str, ...]]] = {
    "a driving table that is not read": (
        "driving: sale",
        ("`driving` of model 'fact_sales' is 'sale', which its SQL does not read.", "Did you mean 'sales'?"),
    ),
    "an undocumented name": (
        "columns: [{name: revenu, description: Money.}]",
        ("`columns` of model 'fact_sales' names the column 'revenu'", "Did you mean 'revenue'?"),
    ),
    "personal data that is not there": ("pii: [name]", ("`pii` of model 'fact_sales' names the column 'name'",)),
    "an unknown member that is not there": ("unknown_member: key", ("`unknown_member` of model 'fact_sales'",)),
    "a test of a column that is not there": (
        "tests: [{rule: range, column: qantity, min: 0}]",
        ("test range_qantity of model 'fact_sales'", "Did you mean 'quantity'?"),
    ),
    "a test of another column's": (
        "columns: [{name: revenue, tests: [{rule: unique, columns: [revenue, itm]}]}]",
        ("test unique_revenue_itm of model 'fact_sales' names the column 'itm'",),
    ),
    "a condition with a typo": (
        "tests: [{rule: expression, name: sane, sql: revenu >= 0}]",
        ("test sane of model 'fact_sales' cannot be asked", "no column 'revenu'", "Did you mean 'revenue'?"),
    ),
    "a condition that compares what cannot be compared": (
        "tests: [{rule: expression, name: sane, sql: 'quantity > [1]'}]",
        ("test sane of model 'fact_sales' cannot be asked", "Cannot compare values"),
    ),
    "a pattern for a number": (
        "tests: [{rule: matches, column: quantity, pattern: '[0-9]+'}]",
        ("test matches_quantity of model 'fact_sales'", "`matches` reads text, and 'quantity' is BIGINT"),
    ),
    "quarantine": (
        "tests: [{rule: not_null, column: revenue, action: quarantine}]",
        ("test not_null_revenue says `action: quarantine`", "Write `keep` or `block`"),
    ),
    "two checks of one name": (
        "tests: [{rule: not_null, column: revenue, name: key}]",
        ("two checks named 'key'", "`name:`"),
    ),
    "a table nobody makes": (
        "tests: [{rule: references, column: item_key, table: dim_itm}]",
        ("'dim_itm'", "no document makes", "Did you mean 'dim_item'?"),
    ),
    "a column the other table lacks": (
        "tests: [{rule: references, column: sales_key, table: dim_item}]",
        ("points to 'dim_item.sales_key', and 'dim_item' has no column 'sales_key'", "`to:`"),
    ),
    "a rule that is none": ("columns: [{name: revenue, tests: [not_nul]}]", ("not_nul",)),
    "a materialization that is none": ("materialization: view", ("materialization",)),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_the_sql_does_not_return_is_refused(tmp_path: Path, case: str) -> None:
    fact, wanted = WRONG[case]
    said = refusal(tmp_path, shop_with(fact))
    assert "defs.yaml" in said
    for part in wanted:
        assert part in said, said


def test_a_key_the_sql_does_not_return_is_refused(tmp_path: Path) -> None:
    said = refusal(tmp_path, SHOP_YAML.replace("keys: [sales_key]", "keys: [sale_key]"))
    assert re.search(r"defs/shop/defs\.yaml:\d+: `keys` of model 'fact_sales' names the column 'sale_key'", said)
    assert "Did you mean 'sales_key'?" in said


def test_a_foreign_key_to_a_column_the_other_model_lacks_is_refused(tmp_path: Path) -> None:
    said = refusal(tmp_path, SHOP_YAML.replace("model: dim_item}", "model: dim_item, to: id}"))
    assert "foreign key `item_key` of model 'fact_sales' points to 'dim_item.id'" in said


def test_an_unknown_column_is_refused_in_the_file_and_line_that_uses_it(tmp_path: Path) -> None:
    said = refusal(tmp_path, SHOP_YAML, dim_item="SELECT items_key AS item_key,\n  item_id,\n  lable\nFROM items")
    assert "defs/shop/dim_item.sql:3: the SQL uses the column 'lable'" in said
    assert "Did you mean 'label'?" in said


def test_a_column_that_an_upstream_model_no_longer_returns_is_refused_downstream(tmp_path: Path) -> None:
    said = refusal(tmp_path, SHOP_YAML, dim_item="SELECT items_key AS item_key, item_id, label FROM items")
    assert "defs/shop/fact_sales.sql" in said
    assert "'i.price'" in said


def test_a_sum_is_known_downstream_as_it_is_stored(tmp_path: Path) -> None:
    """DuckDB sums BIGINTs to a HUGEINT, which Parquet stores as DOUBLE: `// 2` would bind before, and not behind."""
    yaml = SHOP_YAML + "    ---\n    type: flowforge_assets.components.Model\n    attributes: {name: totals}\n"
    yaml += "    ---\n    type: flowforge_assets.components.Model\n    attributes: {name: halves}\n"
    sql = {
        "totals": "SELECT sum(quantity) AS units FROM sales",
        "halves": "SELECT units, typeof(units) AS t FROM totals",
    }
    defs = load(tmp_path, yaml, **SHOP_SQL, **sql)
    asset = defs.resolve_assets_def(dg.AssetKey(["shop", "totals"]))
    schema: dg.TableSchema = asset.metadata_by_key[asset.key]["dagster/column_schema"].value
    assert [(one.name, one.type) for one in schema.columns] == [("units", "float")]


def test_columns_are_shown_before_the_first_run_with_what_they_mean(tmp_path: Path) -> None:
    defs = load(
        tmp_path,
        shop_with("grain: one line of a sale\ncolumns: [{name: revenue, description: price times quantity}]"),
        **SHOP_SQL,
    )
    asset = defs.resolve_assets_def(dg.AssetKey(["shop", "fact_sales"]))
    said = asset.metadata_by_key[asset.key]
    columns = {one.name: one for one in said["dagster/column_schema"].value.columns}
    assert (columns["revenue"].type, columns["revenue"].description) == ("decimal(29,2)", "Price times quantity.")
    assert columns["item_key"].description == "Points to `dim_item`."
    assert said["grain"].value == "one line of a sale"


TYPES = ("text", "integer", "decimal(12,3)", "float", "boolean", "date", "timestamp", "time", "json")


def test_silver_is_stored_in_the_types_that_models_are_checked_against(tmp_path: Path, lake: Lake) -> None:
    columns = ", ".join(f'{{name: c{place}, type: "{kind}"}}' for place, kind in enumerate(TYPES))
    yaml = f"""
        type: flowforge_assets.components.Workflow
        ---
        type: flowforge_assets.components.Table
        attributes:
          name: typed
          columns: [{{name: id}}, {columns}]
          keys: [id]
        ---
        type: flowforge_assets.components.Model
        attributes: {{name: same}}
    """
    land(lake, "shop", {"typed/typed.csv": f"id,{','.join(f'c{place}' for place in range(len(TYPES)))}\n1{',' * 9}\n"})
    defs = load(tmp_path, yaml, same="SELECT * FROM typed")
    asset = defs.resolve_assets_def(dg.AssetKey(["shop", "same"]))
    declared = asset.metadata_by_key[asset.key]["dagster/column_schema"].value
    result = run_well(defs, "shop")
    for made in ("silver_typed", "same"):
        stored = metadata(result, made)["dagster/column_schema"]
        assert {one.name: one.type for one in stored.columns} == {one.name: one.type for one in declared.columns}


STRATEGIES = {
    "upsert": "keys: [id], sequence_by: [at], except_columns: [operation, at]",
    "append": "strategy: append",
    "append of keyed rows": "strategy: append, keys: [id]",
    "full refresh": "strategy: full_refresh",
    "history by date": "strategy: scd2, keys: [id], sequence_by: [day], apply_as_delete_when: operation = 'D'",
    "history by what is not stored": "strategy: scd2, keys: [id], sequence_by: [at], except_columns: [operation, at]",
    "history by number": "strategy: scd2, keys: [id], sequence_by: [n], scd2_columns: {valid_to: until}, delete_absent: invalidate",
    "history by text": "strategy: scd2, keys: [id], sequence_by: [operation]",
    "history by arrival": "strategy: scd2, keys: [id], version_key: v, delete_absent: invalidate",
}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_stores_the_columns_that_models_are_checked_against(
    tmp_path: Path, lake: Lake, strategy: str
) -> None:
    yaml = f"""
        type: flowforge_assets.components.Workflow
        ---
        type: flowforge_assets.components.Table
        attributes: {{
          name: kept,
          columns: [
            {{name: id}}, {{name: operation}}, {{name: day, type: date}}, {{name: at, type: timestamp}},
            {{name: n, type: integer}}, {{name: price, type: "decimal(9,2)"}}],
          {STRATEGIES[strategy]}}}
        ---
        type: flowforge_assets.components.Model
        attributes: {{name: same}}
    """
    rows = "a,I,2024-01-01,2024-01-01 10:00:00,1,1.00\na,U,2024-01-02,2024-01-02 10:00:00,2,2.00\n"
    defs = load(tmp_path, yaml, same="SELECT * FROM kept")
    land(lake, "shop", {"kept/1.csv": f"id,operation,day,at,n,price\n{rows}"})
    run_well(defs, "shop")
    land(lake, "shop", {"kept/2.csv": "id,operation,day,at,n,price\nb,I,2024-01-03,2024-01-03 10:00:00,3,3.00\n"})
    run_well(defs, "shop")
    assert defs.component_tree is not None
    known = known_tables(defs.component_tree)
    said = {
        "silver/shop/kept/current.parquet": TableId("shop", "kept"),
        "gold/shop/same.parquet": ModelId("shop", "same"),
    }
    for file, made in said.items():
        path = (lake.local_root or Path()) / file
        found = duckdb.sql(f"DESCRIBE FROM read_parquet('{path}')").fetchall()
        assert [(name, kind) for name, kind, *_ in found] == list((known.columns(made) or {}).items())


# -- tests of models --------------------------------------------------------------------------------------------------

TESTS = """
    pii: [quantity]
    columns:
      - {name: quantity, tests: [not_null, {rule: range, max: 2, severity: warn}]}
    tests:
      - {rule: expression, name: paid, sql: revenue > 0}
      - {rule: references, column: item_key, table: dim_item, name: known_item}
      - {rule: unique, columns: [item_key]}
"""


def test_tests_count_what_breaks_them_and_publish_all_the_same(tmp_path: Path, lake: Lake) -> None:
    land(lake, "shop", SHOP_DAY1)
    result = run_well(load(tmp_path, shop_with(TESTS), **SHOP_SQL), "shop")
    rows = rows_of(lake, "gold/shop/fact_sales.parquet")
    said = {name: one for (asset, name), one in checks(result).items() if asset == "fact_sales"}
    over = [row for row in rows if row["quantity"] > 2]
    assert over
    assert said["not_null_quantity"].passed
    assert (said["range_quantity"].passed, said["range_quantity"].severity) == (False, dg.AssetCheckSeverity.WARN)
    assert said["range_quantity"].metadata["rows_broken"].value == len(over)
    assert said["range_quantity"].metadata["rows_checked"].value == len(rows)
    assert said["paid"].passed  # null passes
    assert said["known_item"].passed
    assert said["unique_item_key"].passed == (len({row["item_key"] for row in rows}) == len(rows))
    examples = said["range_quantity"].metadata["examples"].records  # personal data is left out
    assert set(examples[0].data) == {"sales_key", "item_key", "revenue"}


def test_a_test_that_blocks_leaves_the_last_version(tmp_path: Path, lake: Lake) -> None:
    blocks = "tests: [{rule: range, column: quantity, max: 5, action: block}]"
    defs = load(tmp_path, shop_with(blocks), **SHOP_SQL)
    land(lake, "shop", SHOP_DAY1)
    assert checks(run_well(defs, "shop"))["fact_sales", "range_quantity"].passed
    before = lake.read("gold/shop/fact_sales.parquet")
    again = checks(run_well(defs, "shop"))["fact_sales", "range_quantity"]
    assert (again.passed, again.blocking) == (True, True)
    land(lake, "shop", SHOP_DAY2 | {"sales/sales_2.csv": "shop,number,item_id,quantity\neast,1,007,6\n"})
    result = run(defs, "shop")
    assert not result.success
    assert not checks(result)["fact_sales", "range_quantity"].passed
    assert lake.read("gold/shop/fact_sales.parquet") == before


def test_a_new_test_is_asked_of_a_table_that_did_not_change(tmp_path: Path, lake: Lake) -> None:
    land(lake, "shop", SHOP_DAY1)
    run_well(load(tmp_path / "1", SHOP_YAML, **SHOP_SQL), "shop")
    result = run_well(load(tmp_path / "2", shop_with(TESTS), **SHOP_SQL), "shop")
    assert not checks(result)["fact_sales", "range_quantity"].passed
    assert metadata(result, "dim_item")["changed"] is False


def test_a_model_whose_columns_only_a_run_can_say_is_loaded_and_built(tmp_path: Path, lake: Lake) -> None:
    land(lake, "shop", SHOP_DAY1)
    yaml = (
        SHOP_YAML
        + "    ---\n    type: flowforge_assets.components.Model\n    attributes: {name: by_shop, keys: [item_id]}\n"
    )
    yaml += (
        "    ---\n    type: flowforge_assets.components.Model\n    attributes: {name: north_only, keys: [item_id]}\n"
    )
    wide = {
        "by_shop": "SELECT * FROM (PIVOT sales ON shop USING sum(quantity) GROUP BY item_id)",
        "north_only": "SELECT item_id, north FROM by_shop",
    }
    result = run_well(load(tmp_path, yaml, **SHOP_SQL, **wide), "shop")
    assert {"item_id", "north", "south"} == set(rows_of(lake, "gold/shop/by_shop.parquet")[0])
    assert {"item_id", "north"} == set(rows_of(lake, "gold/shop/north_only.parquet")[0])
    assert metadata(result, "by_shop")["dagster/column_lineage"].deps_by_column == {}


def test_a_table_may_be_named_in_any_case_and_with_its_workflow(tmp_path: Path, lake: Lake) -> None:
    land(lake, "shop", SHOP_DAY1)
    sql = "SELECT a.items_key AS item_key, b.item_id, a.label, a.price FROM Items a JOIN shop.items b USING (item_id)"
    run_well(load(tmp_path, SHOP_YAML, **(SHOP_SQL | {"dim_item": sql})), "shop")
    assert len(rows_of(lake, "gold/shop/dim_item.parquet")) == 3
