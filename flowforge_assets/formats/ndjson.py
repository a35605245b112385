"""NDJSON (JSON Lines): one object a line. A line that is none goes to `_rescued` verbatim, with its number and why.

The whole file is read once, into scratch: a key may come first in the last line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowforge_assets.formats.csv_source import BLOCK_BYTES, Source, sniff_encoding
from flowforge_assets.formats.file_options import MAX_COLUMNS
from flowforge_assets.formats.file_read import Note
from flowforge_assets.formats.json_cells import NotJsonError, cells_at
from flowforge_assets.formats.text_parts import PartsRead, PartWriter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEAD_BYTES = 64 << 10
MAX_LINE_CHARS = 64 << 20
BLANK = " \t\r\n\x00\x1a\ufeff"


def read_ndjson(
    path: Path, scratch_folder: Path, *, encoding: str | None = None, max_columns: int = MAX_COLUMNS
) -> PartsRead:
    """Read a file of one JSON object a line."""
    source, writer = Source(path), PartWriter(scratch_folder, "ndjson", max_columns)
    name, bom = text_encoding(source, encoding)
    number = 0
    for text, ends in _lines(source, name, bom):
        number += ends
        _take(writer, text, number if ends else number + 1)
    writer.account.lines = number
    writer.account.redecoded = source.redecoded
    return writer.finished({"format": "ndjson", "encoding": name})


def text_encoding(source: Source, pinned: str | None = None) -> tuple[str, int]:
    """Return the encoding and the length of the byte order mark."""
    head = source.range(0, HEAD_BYTES)
    found, bom = sniff_encoding(head, whole=len(head) == source.size)
    return pinned or found, bom


def _lines(source: Source, encoding: str, bom: int) -> Iterator[tuple[str, bool]]:
    """Yield lines, and whether each is the end of its line: one longer than memory allows comes in pieces."""
    carry = ""
    for block in source.utf8_blocks(encoding, bom, source.size, BLOCK_BYTES):
        *whole, carry = (carry + block.decode("utf-8", errors="surrogatepass")).split("\n")
        for line in whole:
            yield line, True
        if len(carry) > MAX_LINE_CHARS:
            yield carry, False
            carry = ""
    if carry:
        yield carry, True


def _take(writer: PartWriter, line: str, number: int) -> None:
    """Take one line as a row, or set it aside."""
    text = line.strip(BLANK)
    if not text:
        writer.account.blank += 1
        return
    try:
        cells, end, notes = cells_at(text, 0, number)
    except NotJsonError as error:
        _aside(writer, line, number, f"not JSON: {error.why}")
        return
    if cells is None or end < len(text):
        _aside(writer, line, number, "not a JSON object" if cells is None else "more than one JSON value in a line")
        return
    writer.row(cells, len(text), number, notes)


def _aside(writer: PartWriter, line: str, number: int, why: str) -> None:
    writer.account.rescued += 1
    writer.aside(Note(number, line.removesuffix("\r"), why))
