"""Tables parted by ASCII's own separators: 0x1F between cells, 0x1E between records; a line end is but text.

Written anew as CSV with a line end after each record, and cells that hold one in quotes.
"""

from __future__ import annotations

import codecs
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowforge_assets.formats.csv_source import Source

CELL, RECORD = "\x1f", "\x1e"
KNOWN: dict[str, str | int | bool] = {"delimiter": CELL, "quote": '"', "escape": "double"}
ALIKE, FEWEST = 0.8, 2
_SPECIAL = ('"', "\n", "\r", CELL)


def separated(head: str) -> bool:
    """Tell whether a text is records that end in 0x1E, most of one count of cells."""
    *records, _ = head.split(RECORD)
    widths = Counter(record.count(CELL) for record in records if CELL in record)
    often = max(widths.values(), default=0)
    return often >= FEWEST and often >= ALIKE * widths.total() and 2 * often >= len(records)


def as_lines(source: Source, encoding: str, bom: int) -> Iterator[str]:
    """Yield the records as lines of CSV, in bounded memory."""
    held = ""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="surrogatepass")
    for block in source.utf8_blocks(encoding, bom, source.size):
        *whole, held = (held + decoder.decode(block)).split(RECORD)
        yield from map(_line, whole)
    if held.strip("\r\n"):
        yield _line(held)


def _line(record: str) -> str:
    # Some write a line end after each separator of records: it is not the first cell's.
    text = record.removeprefix("\r").removeprefix("\n")
    return CELL.join(map(_cell, text.split(CELL))) + "\n"


def _cell(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in _SPECIAL) else text
