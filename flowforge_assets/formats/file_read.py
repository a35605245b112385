"""What every format offers: the face `FileRead`, and rows of text as Arrow batches and as a lazy frame.

A row is `_row_number` (Int64, 1-based; null where a line is no row), the file's columns as String, and `_rescued` (JSON
list of {line, raw, why}, or null). How a format is read lives in the format's own module.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import polars as pl
import pyarrow as pa
from polars.io.plugins import register_io_source

from flowforge_assets.formats.csv_names import unique_names
from flowforge_assets.formats.csv_options import RESCUED, ROW_NUMBER

if TYPE_CHECKING:
    from flowforge_assets.formats.csv_account import CsvAccount

Decided = Mapping[str, str | int | bool | list[str] | None]
Batches = Callable[[], Iterator[pa.RecordBatch]]
Frames = Callable[[], Iterator[pl.DataFrame]]


class FileRead(Protocol):
    """A file and how it is written."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the file's own columns."""

    @property
    def account(self) -> CsvAccount:
        """What became of each line; whole once the frame was read to its end."""

    def frame(self) -> pl.LazyFrame:
        """Return the rows lazily; streamed in bounded memory."""

    def counted(self, rows: int, continuation: int = 0) -> CsvAccount:
        """Return the account, filled by the rows that were read where reading itself counts nothing."""

    def as_dict(self) -> Decided:
        """Return what was decided about the file, for a run's metadata; no text of it but column names."""


def types_of(read: FileRead) -> dict[str, str]:
    """Return what SQL calls the type of each column that has one in the file; none of text."""
    decided = read.as_dict()
    words, columns = decided.get("types"), decided.get("columns")
    if not isinstance(words, list) or not isinstance(columns, list):
        return {}
    return {name: word for name, word in zip(columns, words, strict=True) if word}


class Note(NamedTuple):
    """A piece of the file that is in no cell: where it stood (1-based line), verbatim, and why."""

    line: int
    raw: str
    why: str


def notes_json(notes: Sequence[Note]) -> str | None:
    """Return the text of `_rescued`."""
    return json.dumps([note._asdict() for note in notes], ensure_ascii=False) if notes else None


def own_names(names: Sequence[str]) -> tuple[str, ...]:
    """Make a file's names usable as columns: unique, none empty, none ours, without NUL (Arrow's names end there)."""
    filled = [name.replace("\0", "\\u0000") or f"column_{position}" for position, name in enumerate(names, 1)]
    return unique_names(filled)


def text_schema(columns: Sequence[str]) -> pl.Schema:
    """Return the schema of a frame of text rows."""
    return pl.Schema({ROW_NUMBER: pl.Int64(), **dict.fromkeys(columns, pl.String()), RESCUED: pl.String()})


def arrow_schema(columns: Sequence[str]) -> pa.Schema:
    """Return the schema of a batch of text rows."""
    texts = [pa.field(name, pa.string()) for name in (*columns, RESCUED)]
    return pa.schema([pa.field(ROW_NUMBER, pa.int64()), *texts])


def lazy_frame(batches: Batches, columns: Sequence[str]) -> pl.LazyFrame:
    """Return batches as a lazy frame; each reading of the frame calls `batches` anew."""
    return streamed(lambda: map(pl.DataFrame, batches()), text_schema(columns))


def streamed(frames: Frames, schema: pl.Schema) -> pl.LazyFrame:
    """Return frames as one lazy frame that holds one at a time; each reading of it calls `frames` anew."""

    def wanted(
        with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _batch: int | None
    ) -> Iterator[pl.DataFrame]:
        left = n_rows
        for whole in frames():
            frame = whole
            if left is not None:
                frame, left = frame.head(left), left - min(left, frame.height)
            frame = frame if predicate is None else frame.filter(predicate)
            yield frame if with_columns is None else frame.select(with_columns)
            if left == 0:
                return

    return register_io_source(wanted, schema=schema, is_pure=True)
