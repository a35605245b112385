"""Whether columns of a table identify its rows: the question every published table is asked.

Whole numbers are sorted by Polars, on one core, at a tenth of what DuckDB's grouping costs (6 M rows: 0.10 CPU s against
1.1): on two, its other algorithm takes as long by the clock and twice the work. NumPy's sort is as cheap on processors whose
AVX-512 is whole, and four times slower on AMD's Zen 4, where its instructions to compress are microcode (0.42 s).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowforge_resources.duck import literal, one_row, quote

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import duckdb
    import polars as pl

# Sorting a column of 32 million numbers takes 512 MB while it is read. A longer one is sorted in parts, by a hash of its values, which
# costs three times as much (30 million rows: 1.06 and 0.38 CPU s; 3.3 s and 0.9 GB to group them). Beyond so many parts DuckDB,
# which can spill, takes over.
SORTED_ROWS = 32_000_000
_MOST_PARTS = 10


def rows_sharing(connection: duckdb.DuckDBPyConnection, table: Path, columns: Sequence[str], rows: int) -> int:
    """How many rows of a local Parquet file (or of those a pattern stands for) share the values of some columns with another row; null counts as a value.

    A single column of whole numbers is sorted first, which is nearly always the end of it.
    """
    if len(columns) == 1 and _all_different(table, columns[0], rows):
        return 0
    names = ", ".join(quote(name) for name in columns)
    groups = f"SELECT count(*) AS n FROM read_parquet({literal(str(table))}) GROUP BY {names} HAVING count(*) > 1"
    return int(one_row(connection, f"SELECT coalesce(sum(n), 0) FROM ({groups})")[0])


def keys_sharing(connection: duckdb.DuckDBPyConnection, table: Path, keys: Sequence[str], surrogate: str) -> int:
    """How many values of a surrogate key stand for more than one natural key in a local Parquet file."""
    names = ", ".join(quote(name) for name in keys)
    pairs = f"SELECT DISTINCT {quote(surrogate)} AS s, {names} FROM read_parquet({literal(str(table))})"
    return int(one_row(connection, f"SELECT count(*) - count(DISTINCT s) FROM ({pairs})")[0])


def _all_different(table: Path, column: str, rows: int) -> bool:
    """Whether a column of whole numbers has no value twice; False where it is of another type, or too long."""
    parts = parts_to_sort(rows)
    return parts is not None and all(
        (values := _part(table, column, part, parts)) is not None and repeated(values).is_empty()
        for part in range(parts)
    )


def parts_to_sort(rows: int) -> int | None:
    """Into how many parts so many numbers are cut to be sorted; None where they are too many."""
    parts = max(1, -(-rows // SORTED_ROWS))
    return parts if parts <= _MOST_PARTS else None


def _part(table: Path, column: str, part: int, parts: int) -> pl.Series | None:
    """One part of a column of whole numbers, equal ones being in the same part.

    None where the column is of another type, or has more than one null (all of them are in one part).
    """
    import polars as pl

    if parts == 1:
        values = pl.read_parquet(table, columns=[column], glob="*" in table.name).to_series()
    else:
        chosen = pl.scan_parquet(table, glob="*" in table.name).select(column)
        chosen = chosen.filter(pl.col(column).hash() % parts == part)
        values = chosen.collect(engine="streaming").to_series()
    return values if values.dtype.is_integer() and values.null_count() <= 1 else None


def repeated(numbers: pl.Series) -> pl.Series:
    """The values that stand in whole numbers more than once, each once; null is none."""
    ordered = numbers.sort(multithreaded=False)
    return ordered.filter(ordered == ordered.shift()).unique()
