"""Whether columns of a table identify its rows: the question every published table is asked.

Whole numbers are sorted by NumPy, which costs a third of Polars' sort and a tenth of DuckDB's grouping (6 M rows, CPU:
0.07, 0.28 and 1.1 s).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowforge_resources.duck import literal, one_row, quote

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import duckdb
    from numpy.typing import NDArray

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
    count = parts_to_sort(rows)
    return count is not None and all(
        (found := sorted_numbers(table, column, part, count, nulls=1)) is not None
        and bool((found[1:] != found[:-1]).all())
        for part in range(count)
    )


def parts_to_sort(rows: int) -> int | None:
    """Into how many parts so many numbers are cut to be sorted; None where they are too many."""
    parts = max(1, -(-rows // SORTED_ROWS))
    return parts if parts <= _MOST_PARTS else None


def sorted_numbers(table: Path, column: str, part: int, parts: int, *, nulls: int = 0) -> NDArray[Any] | None:
    """One part of a column of whole numbers in order, equal ones being in the same part.

    None where the column is of another type, or has more nulls than may be left out (all of them are in one part).
    """
    import polars as pl

    if parts == 1:
        values = pl.read_parquet(table, columns=[column], glob="*" in table.name).to_series()
    else:
        chosen = pl.scan_parquet(table, glob="*" in table.name).select(column)
        chosen = chosen.filter(pl.col(column).hash() % parts == part)
        values = chosen.collect(engine="streaming").to_series()
    if not values.dtype.is_integer() or values.null_count() > nulls:
        return None
    numbers = values.drop_nulls().to_numpy(writable=True)
    numbers.sort()  # in place: a second copy of 10 million numbers would be 80 MB more
    return numbers


def repeated(numbers: NDArray[Any]) -> NDArray[Any]:
    """The values that stand in sorted numbers more than once, each once."""
    again: NDArray[Any] = numbers[1:][numbers[1:] == numbers[:-1]]
    once: NDArray[Any] = again[_firsts(again)]
    return once


def counted(numbers: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The different values of sorted numbers, and how often each stands in them."""
    import numpy as np

    first = np.flatnonzero(_firsts(numbers))
    return numbers[first], np.diff(first, append=len(numbers))


def _firsts(numbers: NDArray[Any]) -> NDArray[Any]:
    """Which of sorted numbers is the first of its value."""
    import numpy as np

    return np.concatenate(([True], numbers[1:] != numbers[:-1]))[: len(numbers)]
