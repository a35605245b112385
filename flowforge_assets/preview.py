"""A bounded preview of a table for the UI, without personal data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowforge_checks.results import as_markdown
from flowforge_resources.duck import literal, quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import duckdb

    from flowforge_assets.table_spec import TableSpec

HIDDEN = "•••"
ROWS = 5
# The UI shows Markdown from this length on only after a click.
_SHOWN_AT_ONCE = 1_000


def preview_of(connection: duckdb.DuckDBPyConnection, table: Path, columns: Sequence[str], pii: frozenset[str]) -> str:
    """The first rows as Markdown; columns that hold personal data are hidden, and their values not even read."""
    shown = ", ".join(f"{literal(HIDDEN)} AS {quote(name)}" if name in pii else quote(name) for name in columns)
    found = connection.execute(f"SELECT {shown} FROM read_parquet({literal(str(table))}) LIMIT {ROWS}").fetchall()
    return as_preview([dict(zip(columns, row, strict=True)) for row in found])


def shown_columns(spec: TableSpec) -> list[str]:
    """The columns of a silver table that its preview shows: the declared ones, and when a version held."""
    stored = [column.name for column in spec.stored_columns]
    return [*stored, *spec.strategy.interval] if spec.strategy.keeps_history else stored


def preview_of_text(bronze: Path, spec: TableSpec) -> str:
    """The first rows of a bronze file. A column that is not declared may hold anything, and is left out."""
    import polars as pl

    rows = pl.scan_parquet(bronze)
    landed = rows.collect_schema().names()
    shown = [column for column in spec.landed if column.header in landed]
    values = [
        pl.lit(HIDDEN).alias(one.header) if one.header in spec.landed_pii else pl.col(one.header) for one in shown
    ]
    return as_preview(rows.head(ROWS).select(values).collect().to_dicts())


def as_preview(rows: Sequence[Mapping[str, Any]]) -> str:
    """As many rows as the UI shows at once; all of them where not even two fit."""
    for count in range(len(rows), 1, -1):
        if len(text := as_markdown(rows[:count])) < _SHOWN_AT_ONCE:
            return text
    return as_markdown(rows)
