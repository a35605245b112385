"""What a driver brings as Arrow, as frames of text; and how many rows it is asked for at once.

Columns are mostly selected as text, which stays as it is. What a driver brings otherwise becomes the text that the same
value of Python becomes (`value_text`), so that it does not matter which way a value came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowforge_resources.databases.readers.value_text import value_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl
    import pyarrow as pa

FIRST_ROWS = 64
_MOST_ROWS = 65_536
_BATCH_BYTES = 4 << 20
_GROWTH = 8


def text_of_arrow(batch: pa.RecordBatch | pa.Table, names: Sequence[str]) -> pl.DataFrame:
    """A batch under the columns' own names, all of them text; bytes as base64."""
    import polars as pl

    return pl.DataFrame([_text(name, column) for name, column in zip(names, batch.columns, strict=True)])


def _text(name: str, column: pa.Array | pa.ChunkedArray) -> pl.Series:
    import polars as pl
    import pyarrow.types as kinds

    kind = column.type
    if kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind) or kinds.is_null(kind):
        return pl.Series(name, pl.from_arrow(column), dtype=pl.String)
    if kinds.is_binary(kind) or kinds.is_large_binary(kind) or kinds.is_binary_view(kind):
        return pl.Series(name, pl.from_arrow(column), dtype=pl.Binary).bin.encode("base64")
    if getattr(kind, "unit", "") == "ns":  # finer than Python's own values
        return pl.Series(name, column.cast("string").to_pylist(), pl.String)
    return pl.Series(name, list(map(value_text, column.to_pylist())), pl.String)


def rows_of_next(rows: int, size_bytes: int) -> int:
    """How many rows to ask for after a batch of so many rows and bytes: some megabytes, however wide a row is."""
    fitting = _BATCH_BYTES * rows // max(size_bytes, 1)
    return max(1, min(fitting, rows * _GROWTH, _MOST_ROWS))


def rows_of_width(row_bytes: int) -> int:
    """How many rows to ask for where a row has at most so many bytes, and that cannot be changed on the way."""
    return max(FIRST_ROWS, min(_BATCH_BYTES // max(row_bytes, 1), _MOST_ROWS))
