"""What 20 rules cost: the silver step of a million rows with and without them.

`python -m benchmarks.rules [--rows 1000000] [--rounds 5]`. The step is what a run computes on local disk (cast, judge,
merge, write, audit), without Dagster around it, so that the share is not flattered. Rounds alternate; the figure is the
median of each. One row in 500 breaks some rule.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

if TYPE_CHECKING:
    from flowforge_assets.table_spec import TableSpec
    from flowforge_resources.lake import Lake

RULES: tuple[dict[str, Any], ...] = (
    {"rule": "not_null", "column": "customer"},
    {"rule": "not_blank", "column": "status", "markers": ["N/A"]},
    {"rule": "range", "column": "quantity", "min": 1, "max": 1000},
    {"rule": "range", "column": "price", "min": 0},
    {"rule": "range", "column": "ordered", "min": "2020-01-01"},
    {"rule": "length", "column": "customer", "min": 3, "max": 20},
    {"rule": "allowed_values", "column": "status", "values": ["open", "paid", "sent", "back"]},
    {"rule": "allowed_values", "column": "country", "values": ["DE", "FR", "US"], "case_sensitive": False},
    {"rule": "forbidden_values", "column": "customer", "values": ["none", "test"]},
    {"rule": "matches", "column": "customer", "pattern": "C[0-9]{6}"},
    {"rule": "matches", "column": "email", "pattern": ".*@.*"},
    {"rule": "format", "column": "country", "is_a": "country_alpha2"},
    {"rule": "format", "column": "email", "is_a": "email", "action": "keep"},
    {"rule": "compare", "column": "ordered", "operator": "<=", "other": "sent"},
    {"rule": "at_least_one_not_null", "columns": ["email", "customer"]},
    {"rule": "expression", "name": "total_adds_up", "sql": "abs(total - quantity * price) < 0.02", "action": "keep"},
    {"rule": "expression", "name": "sent_orders_have_a_date", "sql": "status <> 'sent' OR sent IS NOT NULL"},
    {"rule": "range", "column": "total", "max": 1000000, "where": "country = 'DE'"},
    {"rule": "not_null", "column": "price", "action": "keep", "error_above": "1%"},
    {"rule": "row_count", "min": 1},
)
COLUMNS = {
    "id": "text",
    "customer": "text",
    "email": "text",
    "country": "text",
    "status": "text",
    "quantity": "integer",
    "price": "decimal(10,2)",
    "total": "decimal(12,2)",
    "ordered": "date",
    "sent": "date",
}


def spec(*, ruled: bool) -> TableSpec:
    """The table with or without its rules."""
    from flowforge_assets.formats.file_options import FileOptions
    from flowforge_assets.table_spec import Column, TableSpec
    from flowforge_checks.rules import AnyRule
    from flowforge_resources.layout import TableId

    adapter: TypeAdapter[Any] = TypeAdapter(AnyRule)
    rules = tuple(adapter.validate_python(one) for one in RULES) if ruled else ()
    columns = tuple(Column(name=name, type=kind) for name, kind in COLUMNS.items())
    table = TableId("bench", "orders")
    return TableSpec(table, "*.csv", FileOptions(), columns, ("id",), (), "orders_key", rules)


def make_bronze(lake: Lake, rows: int) -> None:
    """A bronze file of text, and the ledger's word for it."""
    from flowforge_resources.duck import connect, literal
    from flowforge_resources.ledger import LedgerEntry, commit

    key = "bronze/bench/orders/run_20260101_000000_orders.parquet"
    with lake.scratch() as scratch, connect(scratch.root) as connection:
        path = scratch.path(".parquet")
        connection.execute(
            f"""COPY (SELECT 'O' || i AS id, 'C' || lpad((i % 500000)::VARCHAR, 6, '0') AS customer,
            'customer' || (i % 500000) || '@example.com' AS email, ['DE', 'FR', 'US'][1 + i % 3] AS country,
            ['open', 'paid', 'sent', 'back'][1 + i % 4] AS status, (i % 1001)::VARCHAR AS quantity, '12.50' AS price,
            ((i % 1001) * 12.5)::DECIMAL(12, 2)::VARCHAR AS total, (DATE '2024-01-01' + (i % 700)::INTEGER)::VARCHAR AS ordered,
            (DATE '2024-01-03' + (i % 700)::INTEGER)::VARCHAR AS sent, 'landing/bench/orders/1.csv' AS _source_file,
            i + 1 AS _row_number, TIMESTAMP '2026-01-01' AS _ingested_at FROM range({rows}) AS r(i))
            TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"""
        )
        lake.write(key, path.read_bytes())
    from flowforge_resources.layout import TableId

    commit(lake, TableId("bench", "orders"), LedgerEntry(1, "2026-01-01T00:00:00+00:00", "made", key, rows))


def measure(lake: Lake, table: TableSpec) -> tuple[float, float, dict[str, float]]:
    """Wall and CPU seconds of one step, and its wall seconds by phase; nothing is published."""
    from flowforge_assets.silver_batch import next_batch
    from flowforge_assets.silver_stage import stage
    from flowforge_assets.step import Stopwatch

    watch, began, used = Stopwatch(), time.perf_counter(), os.times()
    with lake.scratch() as scratch:
        stage(lake, table, next_batch(lake, table), scratch=scratch, watch=watch, run_id="bench")
    now = os.times()
    return time.perf_counter() - began, now.user + now.system - used.user - used.system, dict(watch.phases)


def main() -> None:
    """Print the table of figures."""
    from flowforge_resources.lake import Lake

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(str(Path(folder) / "lake"))
        make_bronze(lake, chosen.rows)
        tables = {"without rules": spec(ruled=False), "with 20 rules": spec(ruled=True)}
        found: dict[str, list[tuple[float, float, dict[str, float]]]] = {name: [] for name in tables}
        for name, table in [*tables.items()] * (chosen.rounds + 1):
            found[name].append(measure(lake, table))
    shown = {name: [median(one[place] for one in rounds[1:]) for place in (0, 1)] for name, rounds in found.items()}
    for name, (wall, cpu) in shown.items():
        phases = ", ".join(
            f"{phase} {median(one[2][phase] for one in found[name][1:]):.2f}" for phase in found[name][0][2]
        )
        print(f"{name}: {wall:.2f} s wall, {cpu:.2f} s CPU ({phases})")  # a command
    (wall, cpu), (more_wall, more_cpu) = shown.values()
    print(f"the rules cost {100 * (more_wall / wall - 1):.1f} % wall, {100 * (more_cpu / cpu - 1):.1f} % CPU")


if __name__ == "__main__":
    main()
