"""NDJSON (JSON Lines): one object a line. A line that is none goes to `_rescued` verbatim, with its number and why.

A comma after the object is passed over. The whole file is read once, into scratch: a key may come first in the last line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowforge_assets.formats.csv_source import BLOCK_BYTES, Source, sniff_encoding
from flowforge_assets.formats.file_options import MAX_COLUMNS
from flowforge_assets.formats.file_read import Note
from flowforge_assets.formats.json_cells import NotJsonError, cells_at, rows_of_lines
from flowforge_assets.formats.json_types import merged, types_of_lines
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
    number, types = 0, dict[str, str]()
    for block in _blocks(source, name, bom):
        types = merged(types, types_of_lines(block))
        rows = rows_of_lines(block)
        if rows is not None and writer.rows(rows, len(block)):
            number += len(rows)
            continue
        *lines, piece = block.split("\n")
        for number, line in enumerate(lines, number + 1):  # noqa: B020 -- the count goes on
            _take(writer, line, number)
        if piece:
            _take(writer, piece, number + 1)
    account = writer.account
    account.lines, account.redecoded = number, source.redecoded
    return writer.finished({"format": "ndjson", "encoding": name}, types)


def text_encoding(source: Source, pinned: str | None = None) -> tuple[str, int]:
    """Return the encoding and the length of the byte order mark."""
    head = source.range(0, HEAD_BYTES)
    found, bom = sniff_encoding(head, whole=len(head) == source.size)
    return pinned or found, bom


def _blocks(source: Source, encoding: str, bom: int) -> Iterator[str]:
    """Yield whole lines, each with its end; one that is longer than memory allows comes in pieces without."""
    carry = ""
    for block in source.utf8_blocks(encoding, bom, source.size, BLOCK_BYTES):
        text = carry + block.decode("utf-8", errors="surrogatepass")
        cut = text.rfind("\n") + 1
        carry = text[cut:]
        if cut:
            yield text[:cut]
        if len(carry) > MAX_LINE_CHARS:
            yield carry
            carry = ""
    if carry:
        yield f"{carry}\n"


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
    if cells is None or text[end:].strip(BLANK) not in {"", ","}:
        _aside(writer, line, number, "not a JSON object" if cells is None else "more than one JSON value in a line")
        return
    writer.row(cells, len(text), number, notes)


def _aside(writer: PartWriter, line: str, number: int, why: str) -> None:
    writer.account.rescued += 1
    writer.aside(Note(number, line.removesuffix("\r"), why))
