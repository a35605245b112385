"""A join that loses or multiplies rows of the table a model's rows come from: found by what a model gets by default."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowforge_assets.gold.rows_kept import ROWS_KEPT, Driving, KeptRows, rows_kept_outcome
from flowforge_assets.model_sql.query import Query
from flowforge_assets.model_sql.row_keeping import RowKeeping, row_keeping
from scenario import SHOP_SQL, SHOP_YAML, checks, land, load, metadata, rows_of, run, run_well

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_checks.results import Outcome
    from flowforge_resources.lake import Lake

TABLES = {
    "sales": {"sales_key": "BIGINT", "shop": "VARCHAR", "item": "INTEGER", "quantity": "INTEGER"},
    "items": {"item": "INTEGER", "label": "VARCHAR", "price": "INTEGER"},
    "shops": {"shop": "VARCHAR", "city": "VARCHAR"},
}
# North and south; item 3 is not known, item 2 is known twice.
ROWS = {
    "sales": "(1, 'north', 1, 5), (2, 'north', 2, 1), (3, 'south', 3, 1), (4, 'south', 1, 9)",
    "items": "(1, 'Spade', 10), (2, 'Rake', 20), (2, 'Rake again', 21)",
    "shops": "('north', 'Oslo')",
}
FACT = "SELECT s.sales_key, i.label FROM sales AS s "
FACT_KEY = "      keys: [sales_key]\n      foreign_keys: [{column: item_key, model: dim_item}]\n"


def fact_with(more: str) -> str:
    return SHOP_YAML.replace(FACT_KEY, FACT_KEY + textwrap.indent(textwrap.dedent(more), " " * 6))


def analysed(sql: str, keys: tuple[str, ...] = (), driving: str | None = None) -> RowKeeping | None:
    return row_keeping(Query(sql, "fact.sql", "shop", TABLES), keys, driving)


def judged(
    folder: Path,
    sql: str,
    keys: tuple[str, ...] = (),
    driving: str | None = None,
    rows: dict[str, str] | None = None,
) -> Outcome:
    """The outcome for a query over small tables, as a build asks for it."""
    keeping = analysed(sql, keys, driving)
    assert keeping is not None
    with duckdb.connect() as connection:
        connection.execute("CREATE SCHEMA shop; SET search_path = 'shop'")
        for name, columns in TABLES.items():
            listed = ", ".join(columns)
            typed = ", ".join(f"{column}::{kind} AS {column}" for column, kind in columns.items())
            values = (rows or ROWS)[name]
            source = (
                f"(VALUES {values}) AS t({listed})"
                if values
                else f"(SELECT {', '.join(f'NULL AS {c}' for c in columns)}) LIMIT 0"
            )
            connection.execute(f"COPY (SELECT {typed} FROM {source}) TO '{folder}/{name}.parquet' (FORMAT parquet)")
            connection.execute(f"CREATE VIEW shop.{name} AS FROM read_parquet('{folder}/{name}.parquet')")
        connection.execute(f"COPY ({sql}) TO '{folder}/made.parquet' (FORMAT parquet)")
        found = connection.execute(f"FROM '{folder}/made.parquet'").fetchall()
        names = [one[0] for one in connection.description or []]
        key_of = [tuple(row[names.index(key)] for key in keys) for row in found]
        unique = bool(keys) and len(set(key_of)) == len(found) and not any(None in key for key in key_of)
        shown = ("sales_key",) if keeping.driving == "sales" else ()
        where = Driving(lambda: [folder / f"{keeping.driving}.parquet"])
        return rows_kept_outcome(
            connection,
            KeptRows(blocks=False, keeping=keeping, shown=shown),
            "shop",
            where,
            made=len(found),
            unique=unique,
            table=folder / "made.parquet",
        )


# SQL, the driving rows that are expected, lost, and added.
QUERIES: dict[str, tuple[str, int, int, int]] = {
    "a left join keeps": (FACT + "LEFT JOIN shops USING (shop) LEFT JOIN items AS i ON i.item = s.item AND i.price <> 21", 4, 0, 0),
    "an inner join loses": (FACT + "JOIN items AS i ON i.item = s.item AND i.price <> 21", 4, 1, 0),
    "a fan-out adds": (FACT + "LEFT JOIN items AS i USING (item)", 4, 0, 1),
    "one lost and one added are as many rows as before": (FACT + "JOIN items AS i USING (item)", 4, 1, 1),
    "a comma is a join": (FACT + ", items AS i WHERE i.item = s.item", 4, 1, 1),
    "a filter of the row itself is meant": (FACT + "JOIN items AS i USING (item) WHERE s.quantity > 4", 2, 0, 0),
    "and one of a joined row": (FACT + "LEFT JOIN items AS i USING (item) WHERE i.price < 21", 4, 1, 1),
    "a filter that makes a left join an inner one": (
        FACT + "LEFT JOIN items AS i ON i.item = s.item AND i.price <> 21 WHERE i.price < 15 AND s.quantity > 0", 4, 1, 0,
    ),
    "unless it says so": ("SELECT s.sales_key FROM sales AS s LEFT JOIN shops AS h USING (shop) WHERE h.city IS NOT NULL", 4, 0, 0),
    "and what looks for rows without a partner": ("SELECT s.sales_key FROM sales AS s LEFT JOIN shops AS h USING (shop) WHERE h.city IS NULL", 4, 0, 0),
    "through a CTE": (
        "WITH big AS (SELECT *, quantity * 2 AS twice FROM sales WHERE quantity > 1) SELECT b.sales_key FROM big AS b JOIN shops USING (shop)",
        2, 1, 0,
    ),
    "two selects that join": (
        "SELECT x.* FROM (SELECT s.* FROM sales AS s JOIN items AS i USING (item)) AS x JOIN shops USING (shop)", 4, 2, 1,
    ),
    "what goes into a sum": ("SELECT c.city, sum(s.quantity) AS n FROM sales AS s JOIN shops AS c USING (shop) GROUP BY ALL", 4, 2, 0),
    "what is counted": ("SELECT i.label, count(*) AS n FROM sales AS s JOIN items AS i USING (item) GROUP BY ALL", 4, 1, 1),
    "what is summed drives, wherever it stands": (
        "SELECT c.city, sum(s.quantity) AS n FROM shops AS c LEFT JOIN sales AS s USING (shop) GROUP BY ALL", 4, 2, 0,
    ),
    "a semi join is meant": (FACT + "SEMI JOIN shops USING (shop) LEFT JOIN items AS i ON i.item = s.item AND i.price <> 21", 4, 0, 0),
}  # fmt: skip


@pytest.mark.parametrize("case", list(QUERIES))
def test_rows_lost_and_added_by_joins_are_counted(tmp_path: Path, case: str) -> None:
    sql, expected, lost, added = QUERIES[case]
    found = judged(tmp_path, sql).metadata
    assert (found["rows_expected"], found["rows_lost"], found["rows_multiplied"]) == (expected, lost, added)


def test_the_join_and_the_rows_are_named(tmp_path: Path) -> None:
    outcome = judged(tmp_path, FACT + "LEFT JOIN shops AS h USING (shop) JOIN items AS i USING (item)", ("sales_key",))
    assert not outcome.passed
    assert not outcome.warns
    assert outcome.rows_broken == 2
    assert outcome.description is not None
    assert "Of 4 rows of sales 1 are lost by JOIN shop.items AS i ON s.item = i.item" in outcome.description
    examples = [record.data for record in outcome.metadata["examples"].records]
    assert examples == [{"sales_key": "3", "times in the table": 0}, {"sales_key": "2", "times in the table": 2}]


def test_the_key_says_whose_rows_they_are(tmp_path: Path) -> None:
    sql = "SELECT s.sales_key, c.city FROM shops AS c JOIN sales AS s USING (shop)"
    assert judged(tmp_path, sql, ("sales_key",)).metadata["driving_table"] == "sales"
    assert judged(tmp_path, sql).metadata["driving_table"] == "shops"
    assert judged(tmp_path, sql, driving="sales").metadata["rows_lost"] == 2


NOT_JUDGED = {
    "a set operation": "SELECT s.item FROM sales AS s JOIN items USING (item) UNION ALL SELECT item FROM items",
    "a CROSS JOIN": "SELECT s.item FROM sales AS s CROSS JOIN shops",
    "UNNEST": "SELECT s.item, u.n FROM sales AS s CROSS JOIN UNNEST([1, 2]) AS u(n)",
}


@pytest.mark.parametrize("why", list(NOT_JUDGED))
def test_what_cannot_be_judged_says_so(why: str) -> None:
    keeping = analysed(NOT_JUDGED[why])
    assert keeping is not None
    assert why in KeptRows(blocks=False, keeping=keeping).about


def test_a_query_without_a_join_has_nothing_to_lose() -> None:
    assert analysed("SELECT * FROM sales WHERE quantity > 1") is None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sales=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=6),
    items=st.lists(st.integers(0, 3), max_size=4),
    shops=st.lists(st.sampled_from("abc"), max_size=4),
    kinds=st.tuples(st.sampled_from(["JOIN", "LEFT JOIN"]), st.sampled_from(["JOIN", "LEFT JOIN"])),
    makes=st.sampled_from(["s.sales_key", "s.shop, count(*) AS n"]),
    keyed=st.booleans(),
    least=st.sampled_from([0, 2]),
)
def test_counts_are_those_of_a_nested_loop(
    tmp_path: Path, sales: list[tuple[str, int]], items: list[int], shops: list[str], kinds: tuple[str, str], makes: str, keyed: bool, least: int
) -> None:  # fmt: skip
    """Whatever proves it, equal counts, sums of them or row numbers: the same rows as a join by hand."""
    rows = {
        "sales": ", ".join(f"({n}, '{shop}', {item}, {n})" for n, (shop, item) in enumerate(sales)),
        "items": ", ".join(f"({item}, 'x', 1)" for item in items),
        "shops": ", ".join(f"('{shop}', 'x')" for shop in shops),
    }
    grouped = " GROUP BY ALL" if "count" in makes else ""
    sql = f"SELECT {makes} FROM sales AS s {kinds[0]} items AS i USING (item) {kinds[1]} shops AS h ON h.shop = s.shop WHERE s.quantity >= {least}{grouped}"
    times = []
    for shop, item in sales[least:]:
        by_item, by_shop = items.count(item), shops.count(shop)
        times.append((by_item or (kinds[0] == "LEFT JOIN")) * (by_shop or (kinds[1] == "LEFT JOIN")))
    outcome = judged(tmp_path, sql, ("sales_key",) if keyed and not grouped else (), rows=rows)
    assert outcome.metadata["rows_expected"] == len(times)
    assert outcome.metadata["rows_lost"] == times.count(0)
    assert outcome.metadata["rows_multiplied"] == sum(max(0, one - 1) for one in times)
    assert outcome.passed == all(one == 1 for one in times)


BY_SHOP = "SELECT h.city, count(*) AS n FROM sales AS s JOIN shops AS h ON h.shop = s.shop"
PROVED_BY_COUNTS = {
    BY_SHOP + " WHERE s.quantity > 1 GROUP BY ALL": "n",
    "SELECT count(*) AS n FROM sales AS s LEFT JOIN items AS i ON (i.item = s.item AND i.price > 1)": "n",
    BY_SHOP.replace(" AS n", "") + " GROUP BY ALL": "",  # DuckDB chooses its name
    BY_SHOP.replace("h.city", "s.quantity AS n") + " GROUP BY ALL": "",
    BY_SHOP + " GROUP BY ROLLUP (h.city)": "",  # counted once more
    BY_SHOP + " WHERE h.city <> 'Oslo' GROUP BY ALL": "",
    BY_SHOP + " GROUP BY ALL HAVING count(*) > 1": "",
    BY_SHOP.replace("JOIN", "FULL JOIN") + " GROUP BY ALL": "",
    BY_SHOP.replace("h.shop = s.shop", "h.shop < s.shop") + " GROUP BY ALL": "",
    BY_SHOP.replace("h.shop = s.shop", "h.shop = s.item") + " GROUP BY ALL": "",  # '1' and '01' are both equal to 1
}


@pytest.mark.parametrize("sql", list(PROVED_BY_COUNTS))
def test_counts_prove_it_only_where_they_must_be_those_of_the_driving_rows(sql: str) -> None:
    keeping = analysed(sql)
    assert keeping is not None
    assert keeping.counted == PROVED_BY_COUNTS[sql]


def test_joins_that_counts_prove_to_keep_are_not_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked_again(*_: object) -> None:
        raise AssertionError("counts prove it")

    monkeypatch.setattr("flowforge_assets.gold.rows_kept._judged", asked_again)
    shops = ROWS | {"shops": "('north', 'Oslo'), ('south', 'Rome'), ('east', 'Rome')"}
    assert judged(tmp_path, BY_SHOP + " GROUP BY ALL", rows=shops).passed


DAY = {
    "items/items_1.csv": "item_id,label,price,seen_at\n007,Spade,12.50,2026-01-01\n",
    "sales/sales_1.csv": "shop,number,item_id,quantity\nnorth,1,007,2\nsouth,1,404,5\n",
}
LOSING = {"fact_sales": SHOP_SQL["fact_sales"].replace("LEFT JOIN", "JOIN")}


def test_a_fact_that_loses_rows_fails_visibly_by_default(lake: Lake, tmp_path: Path) -> None:
    land(lake, "shop", DAY)
    found = checks(run_well(load(tmp_path, SHOP_YAML, **(SHOP_SQL | LOSING)), "shop"))
    check = found["fact_sales", ROWS_KEPT]
    assert not check.passed
    assert "1 are lost by JOIN shop.dim_item AS i" in (check.description or "")
    examples = [record.data for record in check.metadata["examples"].records]
    assert [record["shop"] for record in examples] == ["south"]
    assert len(rows_of(lake, "gold/shop/fact_sales.parquet")) == 1
    assert ("dim_item", ROWS_KEPT) not in found


def test_and_passes_where_it_keeps_them(lake: Lake, tmp_path: Path) -> None:
    land(lake, "shop", DAY)
    check = checks(run_well(load(tmp_path, SHOP_YAML, **SHOP_SQL), "shop"))["fact_sales", ROWS_KEPT]
    assert check.passed
    assert check.metadata["rows_expected"].value == 2


def test_block_publishes_nothing(lake: Lake, tmp_path: Path) -> None:
    land(lake, "shop", DAY)
    result = run(load(tmp_path, fact_with("rows_kept: block"), **(SHOP_SQL | LOSING)), "shop")
    assert not result.success
    assert not lake.head("gold/shop/fact_sales.parquet")
    assert not checks(result)["fact_sales", ROWS_KEPT].passed


def test_ignore_leaves_no_check(lake: Lake, tmp_path: Path) -> None:
    land(lake, "shop", DAY)
    found = checks(run_well(load(tmp_path, fact_with("rows_kept: ignore"), **(SHOP_SQL | LOSING)), "shop"))
    assert ("fact_sales", ROWS_KEPT) not in found


def test_a_build_by_partitions_judges_the_whole_table(lake: Lake, tmp_path: Path) -> None:
    """Rows lost in a partition that is not built again are not forgotten."""
    sql = SHOP_SQL["fact_sales"].replace("SELECT", "SELECT s.shop,").replace("LEFT JOIN", "JOIN")
    for number, (cut, where) in enumerate(((sql, ""), (sql, " WHERE s.quantity > 1"))):
        workflow = f"shop{number}"
        land(lake, workflow, DAY)
        yaml = fact_with("incremental: {driving: sales, column: shop, every: value}")
        defs = load(tmp_path / workflow, yaml, workflow, **(SHOP_SQL | {"fact_sales": cut + where}))
        run_well(defs, workflow)
        land(lake, workflow, {"sales/sales_2.csv": "shop,number,item_id,quantity\nnorth,2,007,4\n"})
        again = run_well(defs, workflow)
        assert metadata(again, "fact_sales")["built"] == "partitions"
        check = checks(again)["fact_sales", ROWS_KEPT]
        assert (check.metadata["rows_expected"].value, check.metadata["rows_lost"].value) == (3, 1)
