"""The fast path: files that Polars reads rightly, and the proof that it does.

`is_clean` looks at every byte, vectorised; `scan_fast` is then a plain Polars scan with all columns as text.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING

import polars as pl

from flowforge_assets.formats.csv_options import ROW_NUMBER, CsvDialect
from flowforge_assets.formats.csv_scan import CR, LF, ScanRules, as_series, scan

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_assets.formats.csv_source import Source

CHUNK_BYTES = 1 << 20


def is_clean(source: Source, dialect: CsvDialect) -> bool:
    """Prove that a fast reader gives the rows the robust one would; what needs a second thought is not clean."""
    if isinstance(source.where, bytes) or not source.size or not _plain(dialect):
        return False
    with source.where.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        quoted = bool(dialect.quote) and data.find(dialect.quote.encode()) >= 0
        return _quoted_regular(source, dialect) if quoted else _counts_agree(data, source, dialect)


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


def _counts_agree(data: mmap.mmap, source: Source, dialect: CsvDialect) -> bool:
    """Compare delimiters with line ends: equal in total, and Polars refuses a line with too many, so equal in each."""
    delimiters = lines = returns = 0
    code = ord(dialect.delimiter)
    for block in source.utf8_blocks("utf-8", dialect.bom_bytes, source.size, CHUNK_BYTES):
        codes = as_series(block)
        delimiters += int((codes == code).sum())
        lines += int((codes == LF).sum())
        if b"\r" in block:
            returns += int((codes == CR).sum())
    lines += data[-1] != LF
    crlf = dialect.terminator == "crlf"
    last_bare = crlf and data[-1] != LF
    return not source.redecoded and delimiters == lines * (dialect.width - 1) and returns == crlf * (lines - last_bare)


def _quoted_regular(source: Source, dialect: CsvDialect) -> bool:
    """Scan the file as the robust reader does; every record must be regular."""
    rules = ScanRules(ord(dialect.delimiter), ord(dialect.quote), dialect.pieces, trailing_delimiter=False, backslash=False, comment=b"")
    rest = b""
    for block in source.utf8_blocks("utf-8", dialect.bom_bytes, source.size, CHUNK_BYTES):
        data = rest + block
        cut = data.rfind(b"\n") + 1
        units = scan(data[:cut], rules) if cut else None
        if units is None or not units.regular.all() or source.redecoded:
            return False
        rest = data[cut:]
    return not rest or bool(scan(rest, rules).regular.all())


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
