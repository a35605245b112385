"""The fast path: files that Polars reads rightly, and the proof that it does.

`is_clean` looks at every byte, vectorised; `scan_fast` is then a plain Polars scan with all columns as text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv

from flowforge_assets.formats.csv_options import ROW_NUMBER, CsvDialect
from flowforge_assets.formats.csv_scan import CR, LF, ScanRules, as_series, unremarkable

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_assets.formats.csv_source import Source

CHUNK_BYTES, PROOF_BYTES, LINE_ENDS_TRIED = 256 << 10, 4 << 20, 50


def is_clean(source: Source, dialect: CsvDialect) -> bool:
    """Prove that a fast reader gives the rows the robust one would; what needs a second thought is not clean."""
    if isinstance(source.where, bytes) or not source.size or not _plain(dialect):
        return False
    quote = dialect.quote.encode()
    counts = _Counts()
    for block in source.utf8_blocks("utf-8", dialect.bom_bytes, source.size, CHUNK_BYTES):
        if quote and quote in block:
            return _quoted_regular(source, dialect)
        counts.add(block, ord(dialect.delimiter))
    return not source.redecoded and counts.agree(dialect)


def _plain(dialect: CsvDialect) -> bool:
    """Tell whether the dialect is one that Polars knows."""
    return (
        dialect.encoding == "utf-8"
        and len(dialect.delimiter.encode()) == 1
        and dialect.quote in {'"', ""}
        and dialect.escape == "double"
        and dialect.terminator in {"lf", "crlf"}
        and dialect.leading in {(), ("header",)}
        and not (dialect.footer_lines or dialect.comment or dialect.trailing_delimiter)
        and dialect.width > 1
    )


@dataclass(slots=True)
class _Counts:
    """Delimiters and line ends of a file without quotes."""

    delimiters: int = 0
    lines: int = 0
    returns: int = 0
    last: bytes = b""

    def add(self, block: bytes, delimiter: int) -> None:
        """Count a block; comparing and counting costs 0.1 ns a byte."""
        codes = as_series(block)
        self.delimiters += int((codes == delimiter).sum())
        self.lines += int((codes == LF).sum())
        self.returns += int((codes == CR).sum()) if b"\r" in block else 0
        self.last = block[-1:] or self.last

    def agree(self, dialect: CsvDialect) -> bool:
        """Compare delimiters with line ends: equal in total, and Polars refuses a line with too many: equal in each."""
        ends, lines = self.lines, self.lines + (self.last != b"\n")
        returns = ends if dialect.terminator == "crlf" else 0
        return self.delimiters == lines * (dialect.width - 1) and self.returns == returns


def _quoted_regular(source: Source, dialect: CsvDialect) -> bool:
    """Let Arrow count the cells of each record where quotes stand only where they may; it refuses what does not fit."""
    quote = ord(dialect.quote)
    rules = ScanRules(ord(dialect.delimiter), quote, dialect.pieces, trailing_delimiter=False, backslash=False, comment=b"")
    rest = b""
    for block in source.utf8_blocks("utf-8", dialect.bom_bytes, source.size, PROOF_BYTES):
        data = rest + block
        cut = _even_cut(data, dialect)
        if not cut or source.redecoded or not _provable(data[:cut], rules, dialect):
            return False
        rest = data[cut:]
    return not rest or _provable(rest, rules, dialect)


def _even_cut(data: bytes, dialect: CsvDialect) -> int:
    """Return the position after the last line end outside quotes, trying a few."""
    quote, cut = dialect.quote.encode(), len(data)
    total = data.count(quote)
    for _ in range(LINE_ENDS_TRIED):
        end = data.rfind(b"\n", 0, cut) + 1
        total -= data.count(quote, end, cut)
        if not end or total % 2 == 0:
            return end
        cut = end - 1
    return 0


def _provable(data: bytes, rules: ScanRules, dialect: CsvDialect) -> bool:
    if b"\r" in data and dialect.terminator != "crlf":
        return False
    if not unremarkable(data, rules):
        return False
    try:
        pa_csv.read_csv(
            pa.BufferReader(data),
            pa_csv.ReadOptions(column_names=[str(i) for i in range(rules.pieces)], use_threads=False, block_size=len(data) + 1),
            pa_csv.ParseOptions(delimiter=dialect.delimiter, newlines_in_values=True, ignore_empty_lines=False),
            pa_csv.ConvertOptions(include_columns=["0"], column_types={"0": pa.string()}, check_utf8=False),
        )
    except pa.ArrowInvalid:
        return False
    return True


def scan_fast(path: Path, dialect: CsvDialect) -> pl.LazyFrame:
    """Return the rows of a clean file as text columns after `_row_number`."""
    return pl.scan_csv(
        path,
        separator=dialect.delimiter,
        quote_char=dialect.quote or None,
        has_header=False,
        skip_rows=dialect.header_lines,
        schema=dict.fromkeys(dialect.columns, pl.String()),
        empty_string_is_null=False,
        null_values=list(dialect.null) or None,
        row_index_name=ROW_NUMBER,
        row_index_offset=1,
    )
