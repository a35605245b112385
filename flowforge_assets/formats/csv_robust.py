"""Any CSV-like file as Arrow batches of text, nothing lost, in bounded memory.

Regular records go through Arrow's reader in bulk; irregular ones (`csv_scan` finds them) are read one by one by
`csv_assemble` and put back in their place. A row is text cells, `_row_number` (1-based) and `_rescued`; a line that is
no row (title, comment, footer) is a row whose `_row_number` is null and whose text is in `_rescued`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from flowforge_assets.formats.csv_account import CsvAccount
from flowforge_assets.formats.csv_ahead import ahead
from flowforge_assets.formats.csv_assemble import Assembled, Assembler
from flowforge_assets.formats.csv_options import RESCUED, ROW_NUMBER
from flowforge_assets.formats.csv_sample import is_blank
from flowforge_assets.formats.csv_scan import ScanRules, Units, count_lines, line_ends, scan, unremarkable
from flowforge_assets.formats.csv_source import BLOCK_BYTES, Source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flowforge_assets.formats.csv_bits import Flags, Places
    from flowforge_assets.formats.csv_options import CsvDialect

BATCH_ROWS = 65_536
STAND_INS = "\x1f\x1e\x1c\x1d\x02\x03\x04\x05\x06\x07"


def read_csv_robust(
    path: str | Path | bytes, dialect: CsvDialect, *, batch_rows: int = BATCH_ROWS, block_bytes: int = BLOCK_BYTES
) -> RobustRead:
    """Return an iterator of batches with the account as its attribute; the account is whole after the last batch."""
    return RobustRead(Source.of(path), dialect, batch_rows, block_bytes)


@dataclass(slots=True)
class RobustRead:
    """One pass over one file."""

    source: Source
    dialect: CsvDialect
    batch_rows: int
    block_bytes: int
    account: CsvAccount = field(default_factory=CsvAccount)
    _assemblers: dict[str, Assembler] = field(default_factory=dict)

    @property
    def schema(self) -> pa.Schema:
        """Columns of every batch."""
        fields = [pa.field(name, pa.string()) for name in self.dialect.columns]
        return pa.schema([pa.field(ROW_NUMBER, pa.int64()), *fields, pa.field(RESCUED, pa.string())])

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield the file's rows in order."""
        for table in ahead(self._tables()):
            yield from table.to_batches(max_chunksize=self.batch_rows)
        self.account.redecoded = self.source.redecoded

    def _tables(self) -> Iterator[pa.Table]:
        stop = self.source.size - self.dialect.footer_bytes
        buffer, leading = b"", True
        blocks = self.source.utf8_blocks(self.dialect.encoding, self.dialect.bom_bytes, stop, self.block_bytes)
        for block in blocks:
            buffer = buffer + block if buffer else block
            if leading:
                cut = self._after_leading(buffer)
                if cut is None:
                    continue
                yield self._leading(buffer[:cut])
                buffer, leading = buffer[cut:], False
            whole = _last_line_end(buffer)
            if whole:
                used, table = self._block(buffer[:whole], last=False)
                buffer = buffer[used:]
                yield table
        if leading:
            cut = self._after_leading(buffer, final=True) or len(buffer)
            yield self._leading(buffer[:cut])
            buffer = buffer[cut:]
        if buffer:
            yield self._block(buffer, last=True)[1]
        yield self._footer(stop)

    # Above and below the table.

    def _after_leading(self, buffer: bytes, *, final: bool = False) -> int | None:
        """Return where the lines above the table end; None if they go on behind this buffer."""
        need = len(self.dialect.leading)
        if not need:
            return 0
        ends = line_ends(buffer)
        if len(ends) > need or (final and len(ends) >= need):
            return int(ends[need - 1])
        return len(buffer) if final else None

    def _leading(self, data: bytes) -> pa.Table:
        aside = [
            Assembled(0, role, 1, note=None if role in {"header", "blank"} else (line, f"{role}: above the table"))
            for role, line in zip(self.dialect.leading, _lines(data), strict=False)
        ]
        return self._irregular(aside)

    def _footer(self, start: int) -> pa.Table:
        data = b"".join(self.source.utf8_blocks(self.dialect.encoding, start, self.source.size))
        aside = [
            Assembled(0, "blank", 1)
            if is_blank(line, self.dialect.delimiter)
            else Assembled(0, "footer", 1, note=(line, "footer: below the table"))
            for line in _lines(data)
        ]
        return self._irregular(aside)

    # One block of the table.

    def _block(self, data: bytes, *, last: bool) -> tuple[int, pa.Table]:
        """Read a block of whole lines; return how many bytes of the given were used, and the rows."""
        if not self.dialect.columns:
            return len(data), self._irregular([self._stray(line) for line in _lines(data)])
        stand_in = self._stand_in(data)
        given = self.dialect.delimiter.encode()
        shown = data.replace(given, stand_in.encode()) if stand_in != self.dialect.delimiter else data
        straight = self._straight(shown, stand_in) if last or data.endswith(b"\n") else None
        if straight is not None:
            return len(data), straight
        units = scan(shown, self._rules(stand_in))
        if units.regular.all():
            self._book_regular(units, None)
            return len(data), self._numbered(self._bulk(shown, units, stand_in), None, [])
        return self._mixed(data, shown, units, stand_in, last=last)

    def _straight(self, shown: bytes, mark: str) -> pa.Table | None:
        """Read a block in one go if it proves regular while it is read."""
        if not unremarkable(shown, self._rules(mark)):
            return None
        try:
            table = self._arrow(shown, mark)
        except pa.ArrowInvalid:
            return None
        beyond = table.columns[self.dialect.width :]
        if any(pc.max(pc.binary_length(column)).as_py() for column in beyond):
            return None
        lines = count_lines(shown)
        self.account.rows += table.num_rows
        self.account.lines += lines
        self.account.continuation += lines - table.num_rows
        table = table.select(range(self.dialect.width))
        return self._numbered(self._with_delimiter(table, mark), None, [])

    def _stray(self, line: str) -> Assembled:
        if is_blank(line, self.dialect.delimiter):
            return Assembled(0, "blank", 1)
        return Assembled(0, "rescued", 1, note=(line, "no table was found"))

    def _stand_in(self, data: bytes) -> str:
        """Return a single byte for the delimiter: itself, or one that the block does not hold."""
        if len(self.dialect.delimiter.encode()) == 1:
            return self.dialect.delimiter
        return next(mark for mark in STAND_INS if mark.encode() not in data)

    def _rules(self, delimiter: str) -> ScanRules:
        d = self.dialect
        quote = ord(d.quote) if d.quote and d.quote.isascii() else None
        backslash = d.escape == "backslash"
        header = d.header_text.replace(d.delimiter, delimiter).encode()
        return ScanRules(ord(delimiter), quote, d.pieces, d.trailing, backslash, d.comment.encode(), header)

    def _mixed(self, data: bytes, shown: bytes, units: Units, mark: str, *, last: bool) -> tuple[int, pa.Table]:
        """Read the regular units in bulk, the others one by one, and restore their order."""
        starts, ends = units.starts, units.ends
        count, used, resume = len(starts), len(data), 0
        assembler = self._assemblers.setdefault(mark, Assembler(self.dialect, mark))
        slow: list[Assembled] = []
        taken: list[int] = []

        def text(unit: int) -> str:
            return shown[starts[unit] : ends[unit]].decode()

        for unit in np.flatnonzero(~units.regular).tolist():
            if unit < resume:
                continue
            found = assembler.at(unit, count, text, last=last)
            if found is None:
                used = (
                    int(starts[unit])
                    if mark == self.dialect.delimiter
                    else len(assembler.original(shown[: starts[unit]].decode()).encode())
                )
                count = unit
                break
            slow.extend(found)
            resume = unit + sum(item.lines for item in found)
            taken.extend(range(unit, resume))
        regular = units.regular[:count].copy()
        regular[[unit for unit in taken if unit < count]] = False
        return used, self._merged(shown, units, regular, slow, mark)

    def _merged(self, shown: bytes, units: Units, regular: Flags, slow: list[Assembled], mark: str) -> pa.Table:
        whole = np.flatnonzero(regular)
        self._book_regular(units, whole)
        pieces = _slices(shown, units, regular)
        kept = Units(units.starts[whole], units.ends[whole], regular[whole], None, units.delimiters_in_quotes)
        return self._numbered(self._bulk(pieces, kept, mark), whole, slow)

    def _book_regular(self, units: Units, whole: Places | None) -> None:
        rows = len(units.ends) if whole is None else len(whole)
        lines = rows
        if units.lines is not None:
            lines = int((units.lines if whole is None else units.lines[whole]).sum())
        self.account.rows += rows
        self.account.lines += lines
        self.account.continuation += lines - rows

    def _bulk(self, data: bytes, units: Units, mark: str) -> pa.Table:
        """Read regular records with Arrow's reader."""
        names = [str(i) for i in range(self.dialect.pieces)]
        if not data:
            return pa.table(
                [pa.array([], pa.string()) for _ in names[: self.dialect.width]], names=names[: self.dialect.width]
            )
        table = self._arrow(data, mark).select(names[: self.dialect.width])
        if table.num_rows != len(units.ends):
            raise RuntimeError(f"{table.num_rows} records were read of {len(units.ends)}")
        return self._with_delimiter(table, mark) if units.delimiters_in_quotes else table

    def _arrow(self, data: bytes, mark: str) -> pa.Table:
        """Read records that are regular, or fail."""
        names = [str(i) for i in range(self.dialect.pieces)]
        if self.dialect.escape == "backslash" and self.dialect.quote:
            quote = self.dialect.quote.encode()
            data = data.replace(b"\\" + quote, quote * 2)
        return pa_csv.read_csv(
            pa.BufferReader(data),
            pa_csv.ReadOptions(column_names=names, use_threads=False, block_size=len(data) + 1),
            pa_csv.ParseOptions(
                delimiter=mark,
                quote_char=self.dialect.quote or False,
                newlines_in_values=True,
                ignore_empty_lines=False,
            ),
            pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), check_utf8=False, strings_can_be_null=False
            ),
        )

    def _with_delimiter(self, table: pa.Table, mark: str) -> pa.Table:
        """Put the delimiter back where a byte stood for it inside quotes."""
        if mark == self.dialect.delimiter:
            return table
        columns = [pc.replace_substring(column, mark, self.dialect.delimiter) for column in table.columns]
        return pa.table(columns, names=table.column_names)

    # Rows with their numbers.

    def _irregular(self, slow: list[Assembled]) -> pa.Table:
        empty = pa.table(
            [pa.array([], pa.string())] * self.dialect.width, names=[str(i) for i in range(self.dialect.width)]
        )
        placed = [replace(item, unit=place) for place, item in enumerate(slow)]
        return self._numbered(empty, np.empty(0, dtype=np.int64), placed)

    def _numbered(self, bulk: pa.Table, whole: Places | None, slow: list[Assembled]) -> pa.Table:
        """Join bulk and irregular rows in the order of the file, with row numbers and what was rescued."""
        first = self.account.rows - bulk.num_rows + 1
        if not slow:
            numbers = pa.array(np.arange(first, first + bulk.num_rows))
            return self._table(numbers, bulk.columns, pa.nulls(bulk.num_rows, pa.string()))
        kept = self._booked(slow, whole)
        cells = [item.cells or [None] * self.dialect.width for item, _ in kept]
        columns = [pa.array(column, pa.string()) for column in zip(*cells, strict=True)] if cells else []
        units = np.array([item.unit for item, _ in kept], dtype=np.int64)
        bulk_units = np.arange(bulk.num_rows) if whole is None else whole
        order = np.argsort(np.concatenate([bulk_units, units]), kind="stable") if kept else None
        is_row = np.array([item.fate == "row" for item, _ in kept], dtype=np.bool_)
        rows = np.concatenate([np.ones(bulk.num_rows, dtype=np.bool_), is_row])
        notes = pa.concat_arrays(
            [pa.nulls(bulk.num_rows, pa.string()), pa.array([note for _, note in kept], pa.string())]
        )
        return self._ordered(bulk, columns, order, rows, notes, first=first)

    def _ordered(
        self,
        bulk: pa.Table,
        columns: list[pa.Array],
        order: Places | None,
        rows: Flags,
        notes: pa.Array,
        *,
        first: int,
    ) -> pa.Table:
        joined = (
            [pa.chunked_array([*column.chunks, extra]) for column, extra in zip(bulk.columns, columns, strict=True)]
            if columns
            else list(bulk.columns)
        )
        if order is not None:
            places = pa.array(order)
            joined = [column.take(places) for column in joined]
            notes, rows = notes.take(places), rows[order]
        numbers = pa.array(rows.cumsum(dtype=np.int64) + first - 1, mask=~rows)
        return self._table(numbers, joined, notes)

    def _table(self, numbers: pa.Array, columns: list[pa.ChunkedArray], notes: pa.Array) -> pa.Table:
        shown = [self._with_nulls(column) for column in columns] if self.dialect.null else columns
        return pa.table([numbers, *shown, notes], schema=self.schema)

    def _with_nulls(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        null = pa.array(self.dialect.null, pa.string())
        return pc.if_else(pc.is_in(column, null), pa.scalar(None, pa.string()), column)

    def _booked(self, slow: list[Assembled], whole: Places | None) -> list[tuple[Assembled, str | None]]:
        """Enter irregular lines in the books; return what becomes a row of the output, with its note."""
        account = self.account
        kept: list[tuple[Assembled, str | None]] = []
        base = account.lines - (len(whole) if whole is not None else 0)
        seen = 0
        units = [item.unit for item in slow]
        earlier = [0] * len(slow) if whole is None else np.searchsorted(whole, units).tolist()
        for item, before in zip(slow, earlier, strict=True):
            line = base + before + seen + 1
            seen += item.lines
            account.lines += item.lines
            if item.fate == "row":
                account.rows += 1
                account.continuation += item.lines - 1
                account.repaired += item.note is not None
            else:
                setattr(account, item.fate, getattr(account, item.fate) + item.lines)
            if item.fate not in {"blank", "header"}:
                kept.append((item, item.rescued_json(line)))
        return kept


def _slices(data: bytes, units: Units, regular: Flags) -> bytes:
    """Return the bytes of the regular units, joined run by run."""
    turns = np.flatnonzero(np.diff(regular.astype(np.int8), prepend=0, append=0))
    starts, ends = units.starts[turns[::2]].tolist(), units.ends[turns[1::2] - 1].tolist()
    return b"".join([data[start:end] for start, end in zip(starts, ends, strict=True)])


def _lines(data: bytes) -> list[str]:
    ends = line_ends(data).tolist() if data else []
    if data and (not ends or ends[-1] != len(data)):
        ends.append(len(data))
    starts = [0, *ends[:-1]]
    return [data[s:e].decode().rstrip("\r\n") for s, e in zip(starts, ends, strict=False)]


def _last_line_end(buffer: bytes) -> int:
    """Return the position after the last line end that is surely whole (a CR at the very end may be half a CRLF)."""
    lf = buffer.rfind(b"\n") + 1
    cr = buffer.rfind(b"\r", lf, len(buffer) - 1) + 1
    return max(lf, cr)
