"""One workflow that uses everything at once, over three days: every row is where it belongs, also after going back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from shutil import copytree
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from flowforge_assets.cli.query import run_query
from flowforge_assets.cli.summary import SELDOM, render_books
from flowforge_assets.silver.rollback import plan_rollback, roll_back
from flowforge_checks.books import ACCOUNT, Books
from flowforge_resources.lake import Lake
from flowforge_resources.layout import TableId, run_reports
from flowforge_resources.partitioned import read_manifest
from flowforge_resources.retention import Retention
from flowforge_resources.run_reports import read_report
from flowforge_resources.sweep import TASK, sweep
from scenario import land, leftovers, load, objects, run_well

if TYPE_CHECKING:
    from pathlib import Path

    import dagster as dg

YAML = """
    type: flowforge_assets.components.Workflow
    attributes: {description: A shop., warehouse: true}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: customers
      columns: [{name: id}, {name: name}, {name: segment}, {name: op}, {name: at, type: date}]
      keys: [id]
      sequence_by: [at]
      strategy: scd2
      apply_as_delete_when: op = 'D'
      except_columns: [op]
      transforms: [{transform: trim, columns: [name]}]
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: regions
      columns: [{name: id}, {name: label}]
      keys: [id]
      strategy: full_refresh
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: orders
      columns: [{name: id}, {name: customer}, {name: day, type: date}, {name: region}, {name: label}, {name: total, type: integer}]
      keys: [id]
      partition_by: {column: day, every: day, start: 2026-01-01}
      transforms:
        - {transform: filter, where: id <> 'TEST'}
        - {transform: lookup, table: regions, keys: {region: id}, take: [label]}
        - {transform: route, where: id LIKE 'R%', to: returns}
      rules:
        - {rule: references, column: customer, table: customers, to: id, action: keep, severity: warn}
        - {rule: not_null, column: label, action: keep, severity: warn}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: returns
      source_table: orders
      columns: [{name: id}, {name: day, type: date}, {name: total, type: integer}]
      keys: [id]
      partition_by: {column: day, every: day, start: 2026-01-01}
      transforms: [{transform: replace, columns: [id], find: "^R", by: "o", regex: true}]
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: baskets
      landed_columns: [items]
      columns: [{name: order_id}, {name: item}, {name: quantity, type: integer}]
      keys: [order_id, item]
      transforms:
        - {transform: explode, column: items}
        - {transform: filter, where: items IS NOT NULL}
        - {transform: split, column: items, by: "*", into: [item, quantity]}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: log
      columns: [{name: at, type: date}, {name: said}]
      strategy: append
      rules: [{rule: unique, columns: [at, said], action: keep, severity: warn}]
    ---
    type: flowforge_assets.components.DateDimension
    attributes: {name: dim_date, covers: [orders.day], columns: [date_key, day]}
    ---
    type: flowforge_assets.components.Model
    attributes: {name: dim_customer, keys: [customer_key], unknown_member: customer_key}
    ---
    type: flowforge_assets.components.Model
    attributes:
      name: fact_orders
      keys: [order_key]
      lookups:
        - {column: customer_key, model: dim_customer, match: {customer: id}, as_of: day}
        - {column: date_key, model: dim_date, match: {day: day}}
    ---
    type: flowforge_assets.components.Model
    attributes: {name: agg_days, keys: [day]}
"""
SQL = {
    "dim_customer": "SELECT customers_version_key AS customer_key, id, name, segment, valid_from, valid_to FROM customers",
    "fact_orders": "SELECT orders_key AS order_key, id, customer, day, label, total FROM orders",
    "agg_days": """
        SELECT day, sum(total) AS net, any_value(lines) AS lines
        FROM (SELECT day, total FROM orders UNION ALL SELECT day, total FROM returns) AS booked
        LEFT JOIN (SELECT "at" AS day, count(*) AS lines FROM log GROUP BY ALL) AS logged USING (day)
        GROUP BY day
    """,
}
DAYS = (
    {
        "customers/1.csv": "id,name,segment,op,at\nc1, Ada ,retail,,2026-01-01\nc2,Bob,retail,,2026-01-01\nc3,Eve,retail,,2026-01-01\n",
        "regions/1.csv": "id,label\nn,north\ns,south\n",
        "orders/1.csv": "id,customer,day,region,total\no1,c1,2026-01-01,n,10\no2,c2,2026-01-01,s,20\nR3,c1,2026-01-01,n,-5\no4,c1,2026-01-01,n,oops\nTEST,,,,25\n",
        "baskets/1.csv": 'order_id,items\no1,"[""a*2"", ""b*1""]"\no2,[]\n',
        "log/1.csv": "at,said\n2026-01-01,start\n2026-01-01,start\n",
    },
    {
        "customers/2.csv": "id,name,segment,op,at\nc1,Ada,wholesale,,2026-01-02\nc3,,,D,2026-01-02\n",
        "regions/2.csv": "id,label\nn,North\nw,west\n",
        "orders/2.csv": "id,customer,day,region,total\no1,c1,2026-01-02,n,11\no5,c3,2026-01-02,w,7\nR6,c2,2026-01-02,n,-1\n",
        "baskets/2.csv": 'order_id,items\no5,"[""c*3""]"\n',
        "log/2.csv": "at,said\n2026-01-02,start\n",
    },
    {
        "customers/3.csv": "id,name,segment,op,at\nc3,Eva,retail,,2026-01-03\nc2,Bo,retail,,2025-12-31\n",
        "orders/3.csv": "id,customer,day,region,total\no2,c2,2026-01-03,n,21\no7,c3,2026-01-03,s,9\n",
        "baskets/3.csv": 'order_id,items\no1,"[""a*5"", ""d*1""]"\n',
        "log/3.csv": "at,said\n2026-01-03,stop\n",
    },
)
CUSTOMERS = "SELECT id, name, segment, valid_from::TEXT, valid_to::TEXT FROM shop.customers ORDER BY 1, 4"
ORDERS = "SELECT id, day::TEXT, label, total FROM shop.orders ORDER BY 1"
FACTS = """
    SELECT f.id, c.name, c.segment, f.date_key, f.label, f.total
    FROM shop.fact_orders AS f JOIN shop.dim_customer AS c USING (customer_key) ORDER BY 1
"""
LOG = 'SELECT "at"::TEXT, said FROM shop.log ORDER BY ALL'
DAILY = "SELECT day::TEXT, net, lines FROM shop.agg_days ORDER BY 1"
TRUTH: dict[str, list[tuple[Any, ...]]] = {
    CUSTOMERS: [
        ("c1", "Ada", "retail", "2026-01-01", "2026-01-02"),
        ("c1", "Ada", "wholesale", "2026-01-02", None),
        ("c2", "Bo", "retail", "2025-12-31", "2026-01-01"),
        ("c2", "Bob", "retail", "2026-01-01", None),
        ("c3", "Eve", "retail", "2026-01-01", "2026-01-02"),
        ("c3", "Eva", "retail", "2026-01-03", None),
    ],
    "SELECT id, label FROM shop.regions ORDER BY 1": [("n", "North"), ("w", "west")],
    ORDERS: [
        ("o1", "2026-01-02", "North", 11),
        ("o2", "2026-01-03", "North", 21),
        ("o5", "2026-01-02", "west", 7),
        ("o7", "2026-01-03", None, 9),
    ],
    "SELECT id, day::TEXT, total FROM shop.returns ORDER BY 1": [("o3", "2026-01-01", -5), ("o6", "2026-01-02", -1)],
    "SELECT order_id, item, quantity FROM shop.baskets ORDER BY ALL": [
        ("o1", "a", 5),
        ("o1", "b", 1),
        ("o1", "d", 1),
        ("o5", "c", 3),
    ],
    LOG: [
        ("2026-01-01", "start"),
        ("2026-01-01", "start"),
        ("2026-01-02", "start"),
        ("2026-01-03", "stop"),
    ],
    "SELECT id, total, _reasons[1].rule FROM shop_quarantine.orders": [("o4", "oops", "type")],
    FACTS: [
        ("o1", "Ada", "wholesale", 20260102, "North", 11),
        ("o2", "Bob", "retail", 20260103, "North", 21),
        ("o5", "Unknown", "Unknown", 20260102, "west", 7),
        ("o7", "Eva", "retail", 20260103, None, 9),
    ],
    DAILY: [
        ("2026-01-01", -5, 2),
        ("2026-01-02", 17, 1),
        ("2026-01-03", 30, 1),
    ],
}

BOOKS: tuple[dict[str, dict[str, int]], ...] = (
    {
        "customers": {"read": 3, "inserted": 3},
        "regions": {"read": 2, "inserted": 2},
        "orders": {"read": 5, "inserted": 2, "quarantined": 1, "filtered": 1, "routed": 1},
        "returns": {"read": 1, "inserted": 1},
        "baskets": {"read": 2, "exploded": 1, "inserted": 2, "filtered": 1},
        "log": {"read": 2, "inserted": 2},
    },
    {
        "customers": {"read": 2, "inserted": 1, "closed": 1},
        "regions": {"read": 2, "inserted": 1, "updated": 1},
        "orders": {"read": 3, "inserted": 1, "updated": 1, "routed": 1},
        "returns": {"read": 1, "inserted": 1},
        "baskets": {"read": 1, "inserted": 1},
        "log": {"read": 1, "inserted": 1},
    },
    {
        "customers": {"read": 2, "inserted": 2},
        "orders": {"read": 2, "inserted": 1, "updated": 1},
        "returns": {},
        "baskets": {"read": 1, "exploded": 1, "inserted": 1, "updated": 1},
        "log": {"read": 1, "inserted": 1},
    },
)


@dataclass(frozen=True)
class Week:
    """The three days and a run with nothing new: what each run said, when the first had ended, what is on the lake."""

    defs: dg.Definitions
    results: list[dg.ExecuteInProcessResult]
    after_first: datetime
    left: Path
    before_another_run: dict[str, bytes]
    after_another_run: dict[str, bytes]


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Week:
    left, results, moments = tmp_path_factory.mktemp("week"), [], []
    defs = load(tmp_path_factory.mktemp("project"), YAML, **SQL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLOWFORGE_LAKE_URL", str(left))
        for day in DAYS:
            land(Lake(), "shop", day)
            results.append(run_well(defs, "shop"))
            moments.append(datetime.now(UTC))
        before = objects(Lake())
        run_well(defs, "shop")
        return Week(defs, results, moments[0], left, before, objects(Lake()))


@pytest.fixture
def after(lake: Lake, week: Week) -> Lake:
    """A lake as the three days left it."""
    assert lake.local_root is not None
    copytree(week.left, lake.local_root, dirs_exist_ok=True)
    return lake


def rows(lake: Lake, sql: str, as_of: str | None = None) -> list[tuple[Any, ...]]:
    return list(run_query(sql, lake, as_of).rows)


def all_rows(lake: Lake) -> dict[str, list[tuple[Any, ...]]]:
    return {sql: rows(lake, sql) for sql in TRUTH}


def test_three_days_leave_every_row_where_it_belongs(after: Lake) -> None:
    assert all_rows(after) == TRUTH
    assert leftovers(after) == []


def test_every_run_books_every_row(week: Week) -> None:
    for result, expected in zip(week.results, BOOKS, strict=True):
        said = accounts(result)
        assert all(books.balances for books in said.values())
        assert {table: flow(books) for table, books in said.items()} == expected


def test_a_batch_without_a_row_of_its_own_makes_no_version(after: Lake) -> None:
    returns = read_manifest(after, TableId("shop", "returns"))
    assert returns is not None
    assert (returns.version, sorted(returns.partitions)) == (2, ["2026-01-01", "2026-01-02"])


def accounts(result: dg.ExecuteInProcessResult) -> dict[str, Books]:
    """The account of every table that took rows in, from its materialization (not those of its partitions)."""
    made = [event.materialization for event in result.get_asset_materialization_events()]
    tables = [one for one in made if one.partition is None and "inserted" in one.metadata]
    counts = {one.asset_key.path[-1]: {name: value.value for name, value in one.metadata.items()} for one in tables}
    return {name.removeprefix("silver_"): Books.of(count) for name, count in counts.items()}  # type: ignore[arg-type]


def flow(books: Books) -> dict[str, int]:
    """Where the rows went, zeros left out."""
    return {name: count for name in ("read", "exploded", *ACCOUNT) if (count := getattr(books, name))}


def test_another_run_changes_nothing(week: Week) -> None:
    assert week.before_another_run == week.after_another_run


def test_going_back_and_forward_again_takes_gold_along(after: Lake, week: Week) -> None:
    customers = TableId("shop", "customers")
    roll_back(after, plan_rollback(after, customers, "2"))
    run_well(week.defs, "shop")
    assert rows(after, CUSTOMERS) == [row for row in TRUTH[CUSTOMERS] if row[1] not in ("Bo", "Eva")]
    assert rows(after, FACTS) == [*TRUTH[FACTS][:3], ("o7", "Unknown", "Unknown", 20260103, None, 9)]
    roll_back(after, plan_rollback(after, customers, "3"))
    run_well(week.defs, "shop")
    assert all_rows(after) == TRUTH


def test_every_silver_table_shows_what_it_was_after_the_first_day(after: Lake, week: Week) -> None:
    moment = week.after_first.isoformat()
    assert rows(after, CUSTOMERS, moment) == [
        ("c1", "Ada", "retail", "2026-01-01", None),
        ("c2", "Bob", "retail", "2026-01-01", None),
        ("c3", "Eve", "retail", "2026-01-01", None),
    ]
    assert rows(after, ORDERS, moment) == [("o1", "2026-01-01", "north", 10), ("o2", "2026-01-01", "south", 20)]
    assert rows(after, ORDERS, "1") == rows(after, ORDERS, moment)
    assert rows(after, LOG, moment) == TRUTH[LOG][:2]


def test_the_warehouse_holds_what_the_tables_hold(after: Lake) -> None:
    with after.scratch() as scratch:
        path = after.stage_in("gold/shop/warehouse.duckdb", scratch)
        with duckdb.connect(str(path), read_only=True) as database:
            for sql, truth in TRUTH.items():
                if "quarantine" not in sql:
                    layer = "gold" if sql in (FACTS, DAILY) else "silver"
                    assert database.execute(sql.replace("shop.", f"{layer}.")).fetchall() == truth


def test_a_sweep_takes_nothing_that_counts(after: Lake) -> None:
    tables = {TableId("shop", name): Retention() for name in after.folders("silver/shop/")}
    swept = sweep(after, tables, run_id="sweep", older_than=timedelta(0))
    assert [one for one in swept.removed if one.kind != TASK] == []
    assert all_rows(after) == TRUTH


def test_the_summary_shows_the_seldom_columns_that_a_run_used_and_no_others(after: Lake, week: Week) -> None:
    shown = []
    for result in week.results:
        report = read_report(after, "shop", folder_of(after, result.run_id))
        headers = [str(column.header).replace("-\n", "") for column in render_books("rows", report).columns]
        shown.append([name for name in headers if name in SELDOM])
    assert shown == [["exploded", "filtered", "routed"], ["closed", "routed"], ["exploded"]]


def folder_of(lake: Lake, run_id: str) -> str:
    """Where the reports of a run lie."""
    return next(name for name in lake.folders(run_reports("shop")) if name.endswith(run_id))
