"""The judge: are the tables on a lake those the truth asks for? Knows the lake layout, and nothing of who wrote it.

python -m benchmarks.verify --lake LAKE --scale 0.01 --day 2
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from benchmarks.tpch_data import scale_dir
from benchmarks.tpch_truth import load, silver_sums

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

WORKFLOW = "tpch"
FACT_SUMS = {
    "rows": "count(*)",
    "revenue": "sum(revenue)",
    "quantity": "sum(quantity)",
    "unknown_customer": "count_if(customer_key = -1)",
    "unknown_part": "count_if(part_key = -1)",
    "unknown_supplier": "count_if(supplier_key = -1)",
    "unknown_date": "count_if(date_key = -1)",
}
AGGREGATE_SUMS = {"rows": "count(*)", "revenue": "sum(revenue)", "quantity": "sum(quantity)"}
# A fact points at nothing that its dimension lacks.
FOREIGN_KEYS = {
    "customer_key": "dim_customer",
    "part_key": "dim_part",
    "supplier_key": "dim_supplier",
    "date_key": "dim_date",
}


def mismatches(lake: Path, truth_file: Path, day: int, books: Mapping[str, Mapping[str, int]] | None) -> list[str]:
    """Return one line for everything on the lake, or in the reported books, that is not as the truth says."""
    days = load(truth_file)["days"]
    truth = days[str(day)]
    with duckdb.connect() as con:
        found = [*_silver(con, lake, truth), *_quarantine(con, lake, days, day), *_gold(con, lake, truth)]
    return found + list(_books(truth, books or {}))


def _silver(con: duckdb.DuckDBPyConnection, lake: Path, truth: dict[str, Any]) -> Iterator[str]:
    for table, expected in truth["silver"].items():
        relation = f"read_parquet('{lake}/silver/{WORKFLOW}/{table}/current.parquet')"
        yield from _differences(f"silver {table}", expected, silver_sums(con, table, relation))
        key = con.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()[0][0]
        distinct = con.execute(f"SELECT count(DISTINCT {key}) FROM {relation}").fetchall()[0][0]
        yield from _differences(f"silver {table}", {f"distinct {key}": expected["rows"]}, {f"distinct {key}": distinct})


def _quarantine(con: duckdb.DuckDBPyConnection, lake: Path, days: dict[str, Any], day: int) -> Iterator[str]:
    """All rows held so far, and how often each column is named as a reason."""
    for table in days["1"]["books"]:
        expected, reasons = 0, dict[str, int]()
        for books in (days[str(past)]["books"][table] for past in range(1, day + 1)):
            expected += books["quarantined"]
            for reason, rows in books["reasons"].items():
                column = reason.split(":")[1]
                reasons[column] = reasons.get(column, 0) + rows
        yield from _differences(f"quarantine {table}", {"rows": expected, **reasons}, _held(con, lake, table))


def _held(con: duckdb.DuckDBPyConnection, lake: Path, table: str) -> dict[str, int]:
    if not any((lake / "quarantine" / WORKFLOW / table).glob("*.parquet")):
        return {"rows": 0}
    relation = f"read_parquet('{lake}/quarantine/{WORKFLOW}/{table}/*.parquet', union_by_name = true)"
    kind = con.execute(f"SELECT typeof(_reasons) FROM {relation} LIMIT 1").fetchall()[0][0]
    column = "reason.column" if "STRUCT" in kind else "split_part(reason, ':', 2)"
    rows = con.execute(f"SELECT count(*) FROM {relation}").fetchall()[0][0]
    named = f"SELECT {column}, count(*) FROM (SELECT unnest(_reasons) AS reason FROM {relation}) GROUP BY 1"
    return {"rows": rows, **dict(con.execute(named).fetchall())}


def _gold(con: duckdb.DuckDBPyConnection, lake: Path, truth: dict[str, Any]) -> Iterator[str]:
    for name, expected in truth["gold"].items():
        sums = {"fact_sales": FACT_SUMS, "agg_monthly_sales": AGGREGATE_SUMS}.get(name, {"rows": "count(*)"})
        path = f"'{lake}/gold/{WORKFLOW}/{name}.parquet'"
        values = con.execute(f"SELECT {', '.join(sums.values())} FROM {path}").fetchall()[0]
        yield from _differences(name, expected, dict(zip(sums, values, strict=True)))
    for key, dimension in FOREIGN_KEYS.items():
        gold = f"{lake}/gold/{WORKFLOW}"
        lost = con.execute(
            f"SELECT count(*) FROM '{gold}/fact_sales.parquet' ANTI JOIN '{gold}/{dimension}.parquet' USING ({key})"
        ).fetchall()[0][0]
        yield from _differences(
            "fact_sales", {f"{key} without a row in {dimension}": 0}, {f"{key} without a row in {dimension}": lost}
        )


def _books(truth: dict[str, Any], books: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    for table, reported in books.items():
        expected = {name: rows for name, rows in truth["books"][table].items() if name != "reasons"}
        yield from _differences(f"books {table}", expected, reported)


def _differences(where: str, expected: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    for name, value in expected.items():
        if str(found.get(name, 0)) != str(value):
            yield f"{where}: {name} is {found.get(name)}, the truth is {value}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare a lake's tables with the benchmark's truth.")
    parser.add_argument("--lake", type=Path, required=True)
    parser.add_argument("--scale", type=float, required=True)
    parser.add_argument("--day", type=int, required=True, choices=(1, 2))
    parser.add_argument("--books", type=Path, help="JSON of the reported books by table")
    arguments = parser.parse_args()
    books = load(arguments.books) if arguments.books else None
    found = mismatches(arguments.lake, scale_dir(arguments.scale) / "truth.json", arguments.day, books)
    print("\n".join(found) or "every table is as the truth says")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
