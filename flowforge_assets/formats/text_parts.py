"""Rows whose columns are known only at the end of their file: written to Arrow files in scratch, read back whole.

A row is a mapping of texts. A new column starts a new part; the frame gives earlier rows null in it. Keys beyond
`max_columns` go to `_rescued`. Memory is one batch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING

import pyarrow as pa

from flowforge_assets.formats.csv_account import CsvAccount
from flowforge_assets.formats.csv_options import RESCUED, ROW_NUMBER
from flowforge_assets.formats.file_options import MAX_COLUMNS
from flowforge_assets.formats.file_read import Decided, Note, arrow_schema, lazy_frame, notes_json, own_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import polars as pl

BATCH_BYTES, BATCH_ROWS, BATCH_CELLS = 4 << 20, 32_768, 2 << 20
Row = dict[str, str | bool | None]
_WORDS: dict[str | bool | None, str] = {True: "true", False: "false"}


@dataclass(slots=True)
class PartsRead:
    """A file that was read to its end: its rows lie in `parts`."""

    columns: tuple[str, ...]
    account: CsvAccount
    parts: tuple[Path, ...]
    decided: Decided
    types: tuple[str, ...]

    def frame(self) -> pl.LazyFrame:
        """Return the rows lazily."""
        return lazy_frame(self._batches, self.columns)

    def counted(self, rows: int, continuation: int = 0) -> CsvAccount:  # noqa: ARG002 -- all was counted
        """Return the account."""
        return self.account

    def as_dict(self) -> Decided:
        """Return what was decided."""
        return {**self.decided, "columns": list(self.columns), "types": list(self.types)}

    def _batches(self) -> Iterator[pa.RecordBatch]:
        schema = arrow_schema(self.columns)
        for part in self.parts:
            with pa.OSFile(str(part)) as file, pa.ipc.open_file(file) as reader:
                for i in range(reader.num_record_batches):
                    yield _widened(reader.get_batch(i), schema)


def _widened(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Add the columns that came later in the file; the part's own come first, `_rescued` last."""
    own = batch.columns
    missing = [pa.nulls(batch.num_rows, pa.string())] * (len(schema) - len(own))
    return pa.record_batch([*own[:-1], *missing, own[-1]], schema=schema)


@dataclass(slots=True)
class PartWriter:
    """Takes rows in the file's order. `account.lines`, `blank` and `continuation` are the caller's to fill."""

    scratch: Path
    stem: str
    max_columns: int = MAX_COLUMNS
    account: CsvAccount = field(default_factory=CsvAccount)
    _keys: dict[str, None] = field(default_factory=dict)
    _rows: list[Row] = field(default_factory=list)
    _numbers: list[int | None] = field(default_factory=list)
    _rescued: dict[int, str | None] = field(default_factory=dict)
    _bytes: int = 0
    _parts: list[Path] = field(default_factory=list)
    _file: pa.ipc.RecordBatchFileWriter | None = None
    _written: int = 0

    def row(self, cells: Row, size_bytes: int, line: int = 0, notes: Sequence[Note] = ()) -> None:
        """Take a row; `cells` is kept."""
        if not cells.keys() <= self._keys.keys():
            notes = [*notes, *self._grow(cells, line)]
        self.account.rows += 1
        if notes:
            self.account.repaired += 1
        self._append(cells, self.account.rows, size_bytes, notes)

    def rows(self, rows: list[Row], size_bytes: int) -> bool:
        """Take rows at once; False, and nothing taken, if they have more keys than may be."""
        keys = self._keys | dict.fromkeys(chain.from_iterable(rows))
        if len(keys) > self.max_columns or len(keys) * len(rows) > BATCH_CELLS:
            return False
        self._flush()
        self._keys, self._rows, self._bytes = keys, rows, size_bytes
        self._numbers = list(range(self.account.rows + 1, self.account.rows + len(rows) + 1))
        self.account.rows += len(rows)
        self._flush()
        return True

    def aside(self, note: Note) -> None:
        """Take a line, or a part of one, that is no row."""
        self._append({}, None, len(note.raw), [note])

    def finished(self, decided: Decided, types: Mapping[str, str]) -> PartsRead:
        """Write what is left and return the whole; `types` by key, as far as they are known."""
        self._flush()
        self._close()
        found = tuple(types.get(key, "") for key in self._keys)
        return PartsRead(own_names(tuple(self._keys)), self.account, tuple(self._parts), decided, found)

    def _append(self, cells: Row, number: int | None, size_bytes: int, notes: Sequence[Note]) -> None:
        if notes:
            self._rescued[len(self._rows)] = notes_json(notes)
        self._rows.append(cells)
        self._numbers.append(number)
        self._bytes += size_bytes
        rows = len(self._rows)
        if self._bytes > BATCH_BYTES or rows >= BATCH_ROWS or rows * len(self._keys) > BATCH_CELLS:
            self._flush()

    def _grow(self, cells: Row, line: int) -> list[Note]:
        """Take up new columns; move out what is beyond the limit."""
        notes = []
        for key in [key for key in cells if key not in self._keys]:
            if len(self._keys) < self.max_columns:
                self._keys[key] = None
                continue
            text = _text(cells.pop(key))
            notes.append(Note(line, f"{key}: {text}", f"more than {self.max_columns} columns"))
        return notes

    def _flush(self) -> None:
        if not self._rows:
            return
        if self._file is None or self._written != len(self._keys):
            self._open()
        arrays = [_column(self._rows, key) for key in self._keys]
        rescued = pa.array(list(map(self._rescued.get, range(len(self._rows)))), pa.string())
        numbers = pa.array(self._numbers, pa.int64())
        assert self._file is not None  # noqa: S101 -- for the type checker: _open has just filled it
        self._file.write_batch(pa.record_batch([numbers, *arrays, rescued], schema=self._schema()))
        self._rows, self._numbers, self._rescued, self._bytes = [], [], {}, 0

    def _schema(self) -> pa.Schema:
        names = [ROW_NUMBER, *own_names(tuple(self._keys)), RESCUED]
        return pa.schema([(name, pa.int64() if name == ROW_NUMBER else pa.string()) for name in names])

    def _open(self) -> None:
        self._close()
        self.scratch.mkdir(parents=True, exist_ok=True)
        path = self.scratch / f"{self.stem}_{len(self._parts)}.arrow"
        self._parts.append(path)
        self._file = pa.ipc.new_file(str(path), self._schema())
        self._written = len(self._keys)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()


def _text(value: str | bool | None) -> str | None:
    """Return a scalar's JSON text; strings and numbers are texts already."""
    return _WORDS.get(value, value)  # type: ignore[arg-type]


def _column(rows: list[Row], key: str) -> pa.Array:
    """Return one column; the quick ways hold for most: every row has the key, none holds a boolean."""
    try:
        values = list(map(itemgetter(key), rows))
    except KeyError:
        values = [row.get(key) for row in rows]
    try:
        return pa.array(values, pa.string())
    except pa.ArrowTypeError:
        return pa.array(list(map(_WORDS.get, values, values)), pa.string())
