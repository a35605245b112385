"""What 20 rules cost: the silver step of a million rows without, with 18 that need no regular expression, with all.

`python -m benchmarks.rules [--rows 1000000] [--rounds 9]`. The step is what a run computes on local disk (cast, judge,
deduplicate, write, audit), a first load, without Dagster around it, so that the share is not flattered. Rounds
alternate; the figures are medians, that of the difference one of the pairs' own differences, with their quartiles: of
everything that comes with rules (quarantine, examples, counts, books), and of evaluating them alone. One row in 200 breaks some rule, one in 100 comes twice.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

if TYPE_CHECKING:
    from flowforge_assets.table_spec import TableSpec
    from flowforge_resources.lake import Lake

RULES: tuple[dict[str, Any], ...] = (
    *({"rule": "not_null", "column": name} for name in ("customer", "status", "ordered_at", "total")),
    {"rule": "not_blank", "column": "channel", "markers": ["N/A"]},
    {"rule": "range", "column": "quantity", "min": 1, "max": 1000},
    {"rule": "range", "column": "price", "min": 0},
    {"rule": "range", "column": "discount", "min": 0, "max": 1},
    {"rule": "range", "column": "ordered_at", "min": "2020-01-01"},
    {"rule": "length", "column": "customer", "exactly": 9},
    {"rule": "length", "column": "note", "max": 200},
    {"rule": "allowed_values", "column": "status", "values": ["open", "paid", "sent", "back"]},
    {"rule": "allowed_values", "column": "channel", "values": ["web", "shop", "phone"], "case_sensitive": False},
    {"rule": "format", "column": "country", "is_a": "country_alpha2"},
    {"rule": "compare", "column": "ordered_at", "operator": "<=", "other": "sent"},
    {"rule": "expression", "name": "adds_up", "sql": "abs(total - quantity * price) < 0.02", "action": "keep"},
    {"rule": "range", "column": "total", "max": 1000000, "where": "country = 'DE'"},
    {"rule": "row_count", "min": 1},
    {"rule": "matches", "column": "customer", "pattern": "C[0-9]{8}"},
    {"rule": "format", "column": "email", "is_a": "email", "action": "keep"},
)
# The rules at the end read every text of a column through a regular expression.
BY_EXPRESSION = 2
# The phase that is the statement which casts every value and judges every row.
JUDGE = "judge"
COLUMNS = {
    "id": "text",
    "customer": "text",
    "email": "text",
    "country": "text",
    "status": "text",
    "channel": "text",
    "note": "text",
    "quantity": "integer",
    "price": "decimal(10,2)",
    "discount": "decimal(4,2)",
    "total": "decimal(12,2)",
    "ordered_at": "timestamp",
    "sent": "timestamp",
}


def spec(rules: int) -> TableSpec:
    """The table with its first so many rules."""
    from flowforge_assets.formats.file_options import FileOptions
    from flowforge_assets.table_spec import Column, TableSpec
    from flowforge_checks.rules import AnyRule
    from flowforge_resources.layout import TableId

    adapter: TypeAdapter[Any] = TypeAdapter(AnyRule)
    chosen = tuple(adapter.validate_python(one) for one in RULES[:rules])
    columns = tuple(Column(name=name, type=kind) for name, kind in COLUMNS.items())
    table = TableId("bench", "orders")
    return TableSpec(table, "*.csv", FileOptions(), columns, ("id",), ("ordered_at",), "orders_key", chosen)


def make_bronze(lake: Lake, rows: int) -> None:
    """A bronze file of text, and the ledger's word for it."""
    from flowforge_resources.duck import connect, literal
    from flowforge_resources.ledger import LedgerEntry, commit

    key = "bronze/bench/orders/run_20260101_000000_orders.parquet"
    with lake.scratch() as scratch, connect(scratch.root) as connection:
        path = scratch.path(".parquet")
        connection.execute(
            f"""COPY (SELECT 'O' || (i - (i % 100 = 99)::INT) AS id, 'C' || lpad((h % 500000)::VARCHAR, 8, '0') AS customer,
            ['anna', 'ben', 'chris'][1 + h % 3] || (h % 500000) || '@mail' || (h % 900) || '.example.com' AS email,
            ['DE', 'FR', 'US', 'PL'][1 + h % 4] AS country, ['open', 'paid', 'sent', 'back'][1 + (h >> 8) % 4] AS status,
            ['web', 'Shop', 'phone'][1 + (h >> 12) % 3] AS channel, 'left at door ' || (h % 4000) || ', call ' || ((h >> 20) % 90000) AS note,
            q::VARCHAR AS quantity, p::VARCHAR AS price, ((h % 30) / 100)::DECIMAL(4, 2)::VARCHAR AS discount,
            (q * p)::DECIMAL(12, 2)::VARCHAR AS total, t::VARCHAR AS ordered_at,
            (t + INTERVAL 1 HOUR * (h % 90)::INT)::VARCHAR AS sent, 'landing/bench/orders/1.csv' AS _source_file, i + 1 AS _row_number,
            TIMESTAMP '2026-01-01' AS _ingested_at FROM (SELECT i, h, (h >> 5) % 200 AS q,
            (1 + (h >> 30) % 99999 / 100)::DECIMAL(10, 2) AS p, TIMESTAMP '2024-01-01' + INTERVAL 1 SECOND * (h % 60000000)::INT AS t
            FROM (SELECT i, (hash(i) >> 1)::BIGINT AS h FROM range({rows}) AS r(i))))
            TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"""
        )
        lake.write(key, path.read_bytes())
    from flowforge_resources.layout import TableId

    commit(lake, TableId("bench", "orders"), LedgerEntry(1, "2026-01-01T00:00:00+00:00", "made", key, rows))


def measure(lake: Lake, table: TableSpec) -> tuple[float, float, dict[str, float]]:
    """Wall and CPU seconds of one step, and its wall seconds by phase; nothing is published."""
    from flowforge_assets.running.step import Stopwatch
    from flowforge_assets.silver.batch import next_batch
    from flowforge_assets.silver.stage import stage

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
    parser.add_argument("--rounds", type=int, default=9)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(str(Path(folder) / "lake"))
        make_bronze(lake, chosen.rows)
        tables = {f"{rules} rules": spec(rules) for rules in (0, len(RULES) - BY_EXPRESSION, len(RULES))}
        found: dict[str, list[tuple[float, float, dict[str, float]]]] = {name: [] for name in tables}
        for name, table in [*tables.items()] * (chosen.rounds + 1):
            found[name].append(measure(lake, table))
    for name, rounds in found.items():
        kept, without = rounds[1:], found["0 rules"][1:]
        wall, cpu = (median(one[place] for one in kept) for place in (0, 1))
        more = ", ".join(
            _more([(now[place], then[place]) for now, then in zip(kept, without, strict=True)]) for place in (0, 1)
        )
        phases = ", ".join(f"{phase} {median(one[2][phase] for one in kept):.2f}" for phase in kept[0][2])
        shares = [100 * (now[2][JUDGE] - then[2][JUDGE]) / now[0] for now, then in zip(kept, without, strict=True)]
        print(f"{name}: {wall:.2f} s wall, {cpu:.2f} s CPU ({more}; wall of {phases})")  # a command
        print(f"  evaluating them: {_spread(shares)} of the step")


def _more(pairs: list[tuple[float, float]]) -> str:
    """By how much the first of each pair is more: the median, and the quartiles."""
    return _spread([100 * (now / then - 1) for now, then in pairs])


def _spread(percents: list[float]) -> str:
    least, middle, most = quantiles(percents, n=4, method="inclusive")
    return f"{middle:+.0f} % ({least:+.0f} to {most:+.0f})"


if __name__ == "__main__":
    main()
