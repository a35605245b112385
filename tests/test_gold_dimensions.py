"""Dimensional helpers: dates by declaration, keys looked up as of a fact's date, orphans treated as declared."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from dagster import AssetKey
from hypothesis import given, settings
from hypothesis import strategies as st

from flowforge_assets.components.known import known_tables
from flowforge_assets.gold.date_dimension import COLUMNS, MONTH_NAMES, WEEKDAY_NAMES, Calendar
from flowforge_assets.gold.lookups import Lookup, with_lookups
from flowforge_assets.lineage.edges import ColumnRef
from scenario import checks, failures, land, load, metadata, project, rows_of, run, run_well
from test_yaml import refusal

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_resources.lake import Lake

TRADE = """
    type: flowforge_assets.components.Workflow
    attributes: {description: Customers with a history.}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: customers
      columns:
        - {name: customer_id}
        - {name: city}
        - {name: valid_from, type: date}
        - {name: valid_to, type: date}
      keys: [customer_id, valid_from]
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: sales
      columns:
        - {name: number, type: integer}
        - {name: customer_id}
        - {name: sold_on, type: date}
      keys: [number]
    ---
    type: flowforge_assets.components.Model
    attributes: {name: dim_customer, keys: [customer_key], unknown_member: customer_key}
    ---
    type: flowforge_assets.components.DateDimension
    attributes: {name: dim_date, covers: [sales.sold_on]}
    ---
    type: flowforge_assets.components.Model
    attributes:
      name: fact_sales
      keys: [number]
      lookups:
        - {column: customer_key, model: dim_customer, match: {customer_id: customer_id}, as_of: sold_on}
        - {column: date_key, model: dim_date, match: {sold_on: day}}
      omit: [customer_id]
"""
DIM = "SELECT customers_key AS customer_key, customer_id, city, valid_from, valid_to FROM customers"
FACT = "SELECT number, customer_id, sold_on FROM sales"
CUSTOMERS = (
    "customer_id,city,valid_from,valid_to\na,Bonn,2024-01-01,2024-06-01\na,Kiel,2024-06-01,\nb,Ulm,2024-03-01,\n"
)
# The last day of a version, its successor's first, before any version, an unknown customer, no customer, no date.
SALES = (
    "number,customer_id,sold_on\n1,a,2024-05-31\n2,a,2024-06-01\n3,b,2024-02-29\n4,x,2024-06-01\n5,,2024-06-01\n6,a,\n"
)


def trade(
    lake: Lake, folder: Path, yaml: str = TRADE, customers: str = CUSTOMERS, sales: str = SALES, **sql: str
) -> Any:
    land(lake, "trade", {"customers/c.csv": customers, "sales/s.csv": sales})
    return load(folder, yaml, "trade", **{"dim_customer": DIM, "fact_sales": FACT} | sql)


def cities(lake: Lake) -> dict[int, str | None]:
    """City of the version each sale points to."""
    known = {row["customer_key"]: row["city"] for row in rows_of(lake, "gold/trade/dim_customer.parquet")}
    return {row["number"]: known[row["customer_key"]] for row in rows_of(lake, "gold/trade/fact_sales.parquet")}


def test_a_sale_finds_the_version_of_its_customer_that_was_valid_on_its_day(lake: Lake, tmp_path: Path) -> None:
    result = run_well(trade(lake, tmp_path), "trade")

    assert cities(lake) == {1: "Bonn", 2: "Kiel", 3: "Unknown", 4: "Unknown", 5: "Unknown", 6: "Unknown"}
    facts = {row["number"]: row for row in rows_of(lake, "gold/trade/fact_sales.parquet")}
    assert list(facts[1]) == ["number", "sold_on", "customer_key", "date_key"]
    assert {number: row["date_key"] for number, row in facts.items()} == {
        1: 20240531, 2: 20240601, 3: 20240229, 4: 20240601, 5: 20240601, 6: -1,
    }  # fmt: skip
    said = checks(result)["fact_sales", "lookup_customer_key"]
    assert not said.passed
    assert said.severity.value == "WARN"
    assert said.metadata["rows_unknown"].value == 4
    assert "4 have no row in dim_customer" in (said.description or "")


def test_a_sale_before_the_first_version_may_take_that_one(lake: Lake, tmp_path: Path) -> None:
    run_well(trade(lake, tmp_path, TRADE.replace("as_of: sold_on}", "as_of: sold_on, before_first: first}")), "trade")

    assert cities(lake) == {1: "Bonn", 2: "Kiel", 3: "Ulm", 4: "Unknown", 5: "Unknown", 6: "Unknown"}


def test_versions_that_overlap_keep_the_fact_from_being_published(lake: Lake, tmp_path: Path) -> None:
    defs = trade(lake, tmp_path)
    run_well(defs, "trade")
    before = rows_of(lake, "gold/trade/fact_sales.parquet")
    # Covers the last row's version wholly, so that no two neighbours overlap.
    land(lake, "trade", {"customers/d.csv": "customer_id,city,valid_from,valid_to\na,Jena,2023-01-01,2025-01-01\n"})

    result = run(defs, "trade")

    said = checks(result)["fact_sales", "lookup_customer_key"]
    assert (said.passed, said.severity.value, said.metadata["rows_doubled_in_dimension"].value) == (False, "ERROR", 2)
    assert rows_of(lake, "gold/trade/fact_sales.parquet") == before


def test_a_lookup_without_history_refuses_a_dimension_that_has_a_key_twice(lake: Lake, tmp_path: Path) -> None:
    result = run(trade(lake, tmp_path, TRADE.replace(", as_of: sold_on", "")), "trade")

    assert not result.success
    assert checks(result)["fact_sales", "lookup_customer_key"].metadata["rows_doubled_in_dimension"].value == 1
    assert lake.head("gold/trade/fact_sales.parquet") is None


@pytest.mark.parametrize(
    ("fact", "said"),
    [
        ("SELECT number, sold_on FROM sales", "needs the column `customer_id`, which the SQL does not return"),
        ("SELECT *, 1 AS customer_key FROM sales", "adds a column which the SQL returns already"),
        (
            "SELECT number, number AS customer_id, sold_on FROM sales",
            "(BIGINT) with `customer_id` of dim_customer (VARCHAR)",
        ),
    ],
)
def test_a_lookup_that_cannot_work_says_why(tmp_path: Path, fact: str, said: str) -> None:
    answer = refusal(tmp_path, TRADE, dim_customer=DIM, fact_sales=fact)

    assert said in answer
    assert "defs/shop/fact_sales.sql" in answer


def test_a_lookup_of_columns_that_only_a_run_can_say_is_judged_by_the_run(lake: Lake, tmp_path: Path) -> None:
    fact = "SELECT number, customer_id FROM (PIVOT sales ON sold_on USING count(*) GROUP BY number, customer_id)"
    result = run(trade(lake, tmp_path, fact_sales=fact), "trade")

    assert "needs the column `sold_on`, which the SQL does not return" in failures(result)
    assert "defs/trade/fact_sales.sql" in failures(result)
    assert lake.head("gold/trade/fact_sales.parquet") is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("omit: [customer_id]", "omit: [custumer_id]", "`omit` names `custumer_id`, which the SQL does not return"),
        ("sold_on: day}", "sold_on: dya}", "needs the column `dya`, which dim_date does not have"),
        ("keys: [number]\n      lookups", "keys: [customer_id]\n      lookups", "which its SQL does not return"),
        ("omit: [customer_id]", "tests: [{rule: not_null, column: date_key, name: lookup_date_key}]", "two checks"),
    ],
)
def test_columns_that_lookups_use_add_and_omit_are_known_before_a_run(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert old in TRADE
    assert said in refusal(tmp_path, TRADE.replace(old, new), dim_customer=DIM, fact_sales=FACT)


def test_the_columns_of_looked_up_keys_and_dates_are_declared_and_followed(lake: Lake, tmp_path: Path) -> None:
    """Also where the document names the dimension with its own workflow."""
    defs = trade(lake, tmp_path, TRADE.replace("model: dim_customer", "model: trade.dim_customer"))
    declared = {
        name: {one.name: one.type for one in _asset(defs, name)["dagster/column_schema"].value.columns}
        for name in ("fact_sales", "dim_date")
    }
    assert declared["fact_sales"] == {
        "number": "integer", "sold_on": "date", "customer_key": "integer", "date_key": "integer",
    }  # fmt: skip
    assert list(declared["dim_date"]) == list(COLUMNS)

    lineage = known_tables(defs.component_tree).lineage
    said = {f"{edge.source} {edge.kind} {edge.target}" for edge in lineage.into_table("trade.fact_sales")}
    assert "trade.dim_customer.customer_key transformation trade.fact_sales.customer_key" in said
    assert "trade.dim_date.date_key transformation trade.fact_sales.date_key" in said
    decide = {edge.source.column for edge in lineage.into[ColumnRef("trade.fact_sales", "")] if edge.kind == "join"}
    assert decide == {"customer_id", "sold_on", "valid_from", "valid_to", "day"}
    of_dates = {str(edge.source) for edge in lineage.into[ColumnRef("trade.dim_date", "iso_week")]}
    assert of_dates == {"trade.silver_sales.sold_on"}
    assert not any(node.unknown for node in lineage.tables.values())

    result = run_well(defs, "trade")
    for name, columns in declared.items():
        stored = metadata(result, name)["dagster/column_schema"].columns
        assert {one.name: one.type for one in stored} == columns


def _asset(defs: Any, name: str) -> Any:
    asset = defs.resolve_assets_def(AssetKey(["trade", name]))
    return asset.metadata_by_key[asset.key]


def test_a_lookup_needs_an_unknown_member_to_point_to(tmp_path: Path) -> None:
    yaml = TRADE.replace(", unknown_member: customer_key", "")
    said = refusal(tmp_path, yaml, dim_customer=DIM, fact_sales=FACT)
    assert "`customer_key` is to point to the unknown member of 'dim_customer', which has none" in said
    assert "Declare `unknown_member: customer_key`" in said


def test_a_lookup_of_a_table_that_nobody_makes_is_refused(tmp_path: Path) -> None:
    said = refusal(
        tmp_path, TRADE.replace("model: dim_customer", "model: dim_custmer"), dim_customer=DIM, fact_sales=FACT
    )
    assert "Did you mean 'dim_customer'?" in said


def test_words_about_validity_need_a_date_to_judge_by(tmp_path: Path) -> None:
    said = refusal(tmp_path, TRADE.replace("as_of: sold_on", "valid_to: until"), dim_customer=DIM, fact_sales=FACT)
    assert "the lookup of `customer_key` has `valid_to` and no `as_of`" in said


DAY = date(2024, 1, 1)
days = st.integers(0, 12).map(lambda n: DAY + timedelta(n))


@settings(max_examples=60, deadline=None)
@given(
    bounds=st.dictionaries(st.sampled_from("ab"), st.sets(days, min_size=1, max_size=5), max_size=2),
    open_ended=st.booleans(),
    facts=st.lists(st.tuples(st.sampled_from("abc"), days), max_size=8),
    before_first=st.sampled_from(["unknown", "first"]),
)
def test_a_lookup_finds_what_a_search_through_all_versions_finds(
    bounds: dict[str, set[date]], open_ended: bool, facts: list[tuple[str, date]], before_first: str
) -> None:
    versions: list[tuple[int, str, date, date | None]] = []
    for name, moments in bounds.items():
        starts = sorted(moments)
        ends: list[date | None] = [*starts[1:], None if open_ended else starts[-1] + timedelta(2)]
        versions += [(len(versions) + n, name, a, b) for n, (a, b) in enumerate(zip(starts, ends, strict=True))]

    def search(name: str, moment: date) -> int:
        own = [one for one in versions if one[1] == name]
        if own and before_first == "first" and moment < own[0][2]:
            return own[0][0]
        return next((key for key, _, a, b in own if a <= moment and (b is None or moment < b)), -1)

    lookup = Lookup(column="key", model="dim", match={"name": "name"}, as_of="day", before_first=before_first)  # type: ignore[arg-type]
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE dim (key BIGINT, name TEXT, valid_from DATE, valid_to DATE)")
        connection.execute("CREATE TABLE facts (n BIGINT, name TEXT, day DATE)")
        if versions:
            connection.executemany("INSERT INTO dim VALUES (?, ?, ?, ?)", versions)
        if facts:
            connection.executemany("INSERT INTO facts VALUES (?, ?, ?)", [(n, *one) for n, one in enumerate(facts)])
        found = connection.execute(with_lookups("SELECT * FROM facts", [lookup], [])).fetchall()
    assert sorted(found) == [(n, name, day, search(name, day)) for n, (name, day) in enumerate(facts)]


# -- orphans ------------------------------------------------------------------------------------------------------

ORPHANS = """
    type: flowforge_assets.components.Workflow
    attributes: {description: Facts without their dimension.}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: items
      columns: [{name: item_id}, {name: label}]
      keys: [item_id]
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: sales
      columns: [{name: number, type: integer}, {name: item_key, type: integer}]
      keys: [number]
    ---
    type: flowforge_assets.components.Model
    attributes: {name: dim_item, keys: [item_key], unknown_member: item_key}
    ---
    type: flowforge_assets.components.Model
    attributes:
      name: fact_sales
      keys: [number]
      foreign_keys: [{column: item_key, model: dim_item, on_orphan: ACTION}]
"""
ORPHANS_SQL = {
    "dim_item": "SELECT item_id::BIGINT AS item_key, item_id FROM items",
    "fact_sales": "SELECT number, item_key FROM sales",
}
# Sale 2 points to the unknown member already, 3 nowhere, 4 is null.
ORPHANS_DATA = {"items/i.csv": "item_id,label\n7,Spade\n", "sales/s.csv": "number,item_key\n1,7\n2,-1\n3,8\n4,\n"}


def with_orphans(lake: Lake, folder: Path, action: str) -> tuple[Any, Any]:
    land(lake, "shop", ORPHANS_DATA)
    result = run(load(folder, ORPHANS.replace("ACTION", action), **ORPHANS_SQL), "shop")
    return result, checks(result)["fact_sales", "foreign_key_item_key"]


def keys_of_sales(lake: Lake) -> dict[int, int | None]:
    return {row["number"]: row["item_key"] for row in rows_of(lake, "gold/shop/fact_sales.parquet")}


@pytest.mark.parametrize(
    ("action", "kept", "severity", "sentence"),
    [
        ("keep", {1: 7, 2: -1, 3: 8, 4: None}, "ERROR", "all are kept"),
        ("unknown", {1: 7, 2: -1, 3: -1, 4: -1}, "WARN", "these now point to the unknown member"),
        ("drop", {1: 7, 2: -1}, "WARN", "these are left out"),
        ("block", {}, "ERROR", "the table keeps its last version"),
    ],
)
def test_orphans_are_counted_and_treated_as_declared(
    lake: Lake, tmp_path: Path, action: str, kept: dict[int, int | None], severity: str, sentence: str
) -> None:
    result, said = with_orphans(lake, tmp_path, action)

    assert keys_of_sales(lake) == kept
    assert (said.passed, said.severity.value) == (False, severity)
    assert said.metadata["rows_orphaned"].value == 2
    assert said.metadata["rows_unknown"].value == 1
    assert sentence in said.description
    assert result.success == (action != "block")
    if action == "drop":
        assert metadata(result, "fact_sales")["rows_dropped"] == 2
        assert metadata(result, "fact_sales")["dagster/row_count"] == 2


@pytest.mark.parametrize(("action", "broken"), [("keep", 1), ("unknown", 0), ("drop", 0)])
def test_tests_judge_the_table_behind_its_orphans(lake: Lake, tmp_path: Path, action: str, broken: int) -> None:
    """And one that blocks is said to hold again when nothing changed."""
    land(lake, "shop", ORPHANS_DATA)
    test = "      tests: [{rule: references, column: item_key, table: dim_item, action: block}]\n"
    defs = load(tmp_path, ORPHANS.replace("ACTION", action) + test, **ORPHANS_SQL)
    result = run(defs, "shop")

    name = "references_item_key"
    assert checks(result)["fact_sales", name].metadata["rows_broken"].value == broken
    assert result.success == (broken == 0)
    assert (lake.head("gold/shop/fact_sales.parquet") is not None) == (broken == 0)
    if not broken:
        assert checks(run_well(defs, "shop"))["fact_sales", name].passed


@pytest.mark.parametrize(
    ("action", "kind", "decides"), [("keep", "identity", 0), ("unknown", "transformation", 0), ("drop", "identity", 2)]
)
def test_what_becomes_of_orphans_is_in_the_lineage(tmp_path: Path, action: str, kind: str, decides: int) -> None:
    defs = load(tmp_path, ORPHANS.replace("ACTION", action), **ORPHANS_SQL)
    edges = known_tables(defs.component_tree).lineage.into_table("shop.fact_sales")
    assert [edge.kind for edge in edges if edge.target.column == "item_key"] == [kind]
    assert len([edge for edge in edges if not edge.target.column and edge.kind == "filter"]) == decides


def test_orphans_can_point_only_to_an_unknown_member_that_is_there(tmp_path: Path) -> None:
    yaml = ORPHANS.replace("ACTION", "unknown").replace(", unknown_member: item_key", "")
    assert "the unknown member of 'dim_item', which has none in its column `item_key`" in refusal(
        tmp_path, yaml, **ORPHANS_SQL
    )


def test_a_block_is_lifted_when_the_dimension_row_arrives(lake: Lake, tmp_path: Path) -> None:
    land(lake, "shop", ORPHANS_DATA | {"sales/s.csv": "number,item_key\n1,7\n3,8\n"})
    defs = load(tmp_path, ORPHANS.replace("ACTION", "block"), **ORPHANS_SQL)
    assert not run(defs, "shop").success
    land(lake, "shop", {"items/j.csv": "item_id,label\n8,Hoe\n"})

    run_well(defs, "shop")

    assert keys_of_sales(lake) == {1: 7, 3: 8}
    again = run_well(defs, "shop")
    assert checks(again)["fact_sales", "foreign_key_item_key"].passed


# -- dates --------------------------------------------------------------------------------------------------------


def calendar(**given: Any) -> list[dict[str, Any]]:
    """Rows of a calendar from 2024-12-28 to 2025-01-06 unless something else is given."""
    plain = {
        "first": date(2024, 12, 28),
        "last": date(2025, 1, 6),
        "covers": (),
        "whole_years": False,
        "fiscal_year_starts": 1,
        "week_starts": "monday",
        "month_names": MONTH_NAMES["en"],
        "weekday_names": WEEKDAY_NAMES["en"],
        "columns": tuple(COLUMNS),
    }
    with duckdb.connect() as connection:
        found = connection.execute(Calendar(**plain | given).sql())
        names = [column[0] for column in found.description]
        return sorted((dict(zip(names, row, strict=True)) for row in found.fetchall()), key=lambda row: row["day"])


def test_every_column_of_a_day_is_right() -> None:
    monday = calendar()[2]

    assert monday == {
        "date_key": 20241230,
        "day": date(2024, 12, 30),
        "year": 2024,
        "quarter": 4,
        "month": 12,
        "month_name": "December",
        "year_month": "2024-12",
        "day_of_month": 30,
        "day_of_year": 365,
        "weekday": "Monday",
        "weekday_number": 1,
        "is_weekend": False,
        "iso_week": 1,
        "iso_year": 2025,
        "first_day_of_week": date(2024, 12, 30),
        "first_day_of_month": date(2024, 12, 1),
        "last_day_of_month": date(2024, 12, 31),
        "fiscal_year": 2024,
        "fiscal_quarter": 4,
        "fiscal_month": 12,
    }


def test_iso_weeks_and_names_agree_with_python_on_every_day_of_thirty_years() -> None:
    for row in calendar(first=date(2000, 1, 1), last=date(2029, 12, 31)):
        day = row["day"]
        assert (row["iso_year"], row["iso_week"], row["weekday_number"]) == tuple(day.isocalendar())
        assert (row["month_name"], row["weekday"]) == (day.strftime("%B"), day.strftime("%A"))
        assert row["is_weekend"] == (day.weekday() >= 5)


@pytest.mark.parametrize("starts", range(1, 13))
def test_a_fiscal_year_has_twelve_months_in_order_and_the_name_of_the_year_it_ends_in(starts: int) -> None:
    for row in calendar(first=date(2023, 1, 1), last=date(2025, 12, 31), fiscal_year_starts=starts):
        day = row["day"]
        year = day.year if starts == 1 or day.month < starts else day.year + 1
        month = (day.month - starts) % 12 + 1
        assert (row["fiscal_year"], row["fiscal_month"]) == (year, month)
        assert row["fiscal_quarter"] == (month - 1) // 3 + 1


def test_whole_years_are_fiscal_ones() -> None:
    rows = calendar(whole_years=True, fiscal_year_starts=4)
    assert (rows[0]["day"], rows[-1]["day"], len(rows)) == (date(2024, 4, 1), date(2025, 3, 31), 365)


def test_weeks_can_start_on_sunday_and_names_be_german() -> None:
    rows = calendar(week_starts="sunday", month_names=MONTH_NAMES["de"], weekday_names=WEEKDAY_NAMES["de"])
    assert [row["weekday_number"] for row in rows[:3]] == [7, 1, 2]
    assert rows[2]["first_day_of_week"] == date(2024, 12, 29)
    assert (rows[1]["weekday"], rows[-1]["month_name"]) == ("Sonntag", "Januar")


def test_a_date_dimension_covers_its_columns_and_has_an_unknown_member(lake: Lake, tmp_path: Path) -> None:
    run_well(trade(lake, tmp_path), "trade")

    rows = {row["date_key"]: row for row in rows_of(lake, "gold/trade/dim_date.parquet")}
    assert len(rows) == 367
    assert min(key for key in rows if key > 0) == 20240101
    assert max(rows) == 20241231
    assert (rows[-1]["weekday"], rows[-1]["day"]) == ("Unknown", None)


def test_a_date_dimension_without_a_date_to_cover_has_only_the_unknown_member(lake: Lake, tmp_path: Path) -> None:
    run_well(trade(lake, tmp_path, sales="number,customer_id,sold_on\n6,a,\n"), "trade")
    assert [row["date_key"] for row in rows_of(lake, "gold/trade/dim_date.parquet")] == [-1]


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ("{name: dim_date}", "does not say which days it has"),
        ("{name: dim_date, first_day: 2025-01-01, last_day: 2024-01-01}", "ends on 2024-01-01, before it begins"),
        ("{name: dim_date, covers: [sold_on]}", "`covers: sold_on` names no column of a table"),
        ("{name: dim_date, covers: [sals.sold_on]}", "Did you mean 'sales'?"),
        ("{name: dim_date, covers: [sales.solt_on]}", "Did you mean 'sold_on'?"),
        ("{name: dim_date, covers: [sales.number]}", "`covers: sales.number` is BIGINT, not a date"),
        ("{name: dim_date, covers: [dim_customer.valid_form]}", "Did you mean 'valid_from'?"),
        ("{name: dim_date, covers: [sales.sold_on], columns: [date_key, yaer]}", "Did you mean 'year'?"),
        ("{name: dim_date, covers: [sales.sold_on], columns: [year]}", "leaves out its key"),
        ("{name: dim_date, covers: [sales.sold_on], language: fi}", "`language: fi` is not known"),
        ("{name: dim_date, covers: [sales.sold_on], month_names: [a]}", "`month_names` has 1 names. Write 12."),
    ],
)
def test_a_date_dimension_that_makes_no_sense_is_refused(tmp_path: Path, attributes: str, said: str) -> None:
    yaml = TRADE.replace("{name: dim_date, covers: [sales.sold_on]}", attributes)
    assert said in refusal(tmp_path, yaml, dim_customer=DIM, fact_sales=FACT)


# -- conformed dimensions -----------------------------------------------------------------------------------------

MASTER = """
    type: flowforge_assets.components.Workflow
    attributes: {description: Who owns the dimension.}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: items
      columns: [{name: item_id}, {name: label}]
      keys: [item_id]
    ---
    type: flowforge_assets.components.Model
    attributes: {name: dim_item, sql: dim_item.sql, keys: [item_key], unknown_member: item_key}
"""
USER = """
    type: flowforge_assets.components.Workflow
    attributes: {description: Who shares it.}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: orders
      columns: [{name: number, type: integer}, {name: item_id}]
      keys: [number]
    ---
    type: flowforge_assets.components.Model
    attributes:
      name: fact_orders
      keys: [number]
      lookups: [{column: item_key, model: master.dim_item, match: {item_id: item_id}}]
      foreign_keys: [{column: item_key, model: master.dim_item, on_orphan: block}]
"""
# Models alone, of what others own.
MART = """
    type: flowforge_assets.components.Workflow
    attributes: {description: Who asks., maintenance: "0 3 * * 0"}
    ---
    type: flowforge_assets.components.Model
    attributes: {name: orders_by_item, sql: orders_by_item.sql, keys: [label]}
"""


def test_a_dimension_is_shared_by_workflows(lake: Lake, tmp_path: Path) -> None:
    sql = {
        "dim_item": "SELECT items_key AS item_key, item_id, label FROM items",
        "fact_orders": "SELECT number, item_id FROM orders",
        "orders_by_item": "SELECT label, count(*) AS orders FROM user.fact_orders JOIN master.dim_item USING (item_key) GROUP BY label",
    }
    land(lake, "master", {"items/i.csv": "item_id,label\n7,Spade\n"})
    land(lake, "user", {"orders/o.csv": "number,item_id\n1,7\n2,9\n"})
    with project(tmp_path, {"master": MASTER, "user": USER, "mart": MART}, **sql) as defs:
        graph = defs.get_repository_def().asset_graph
        run_well(defs, "master")
        result = run_well(defs, "user")
        run_well(defs, "mart")
        assert {one.name for one in defs.sensors or () if one.name.startswith("mart")} == {"mart_gates"}

    (dim,) = (row for row in rows_of(lake, "gold/master/dim_item.parquet") if row["label"] == "Spade")
    facts = {row["number"]: row["item_key"] for row in rows_of(lake, "gold/user/fact_orders.parquet")}
    assert facts == {1: dim["item_key"], 2: -1}
    assert checks(result)["fact_orders", "foreign_key_item_key"].metadata["rows_unknown"].value == 1
    parents = {
        key.to_user_string()
        for node in graph.asset_nodes
        for key in node.parent_keys
        if node.key.path[-1] == "fact_orders"
    }
    assert parents == {"user/silver_orders", "master/dim_item"}
    asked = {row["label"]: row["orders"] for row in rows_of(lake, "gold/mart/orders_by_item.parquet")}
    assert asked == {"Spade": 1, "Unknown": 1}
