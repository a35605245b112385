"""Fixed-width text: cells cut at declared positions, or at the columns of blanks that run down the file.

Cells lose the blanks around them; one of blanks only is null. A line that ends too soon, goes on too long, or has text
between the declared columns is a row whose `_rescued` holds the line.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from flowforge_assets.formats.csv_detect import NO_PINS
from flowforge_assets.formats.csv_source import Source, decode
from flowforge_assets.formats.file_read import own_names
from flowforge_assets.formats.ndjson import text_encoding
from flowforge_assets.formats.positions import Field
from flowforge_assets.formats.table_rows import Line, Table, TableRead, find_table
from flowforge_resources.errors import BadFileError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from flowforge_assets.formats.csv_options import CsvOptions

HEAD_BYTES = 256 << 10
SAMPLE_LINES = 1000
MIN_LINES = 3
RULER = re.compile(r"[-=+| ]*(?:-{2,}|={2,})[ +|][-=+| ]*")


def read_fixed_width(
    path: Path, *, fields: Sequence[Field] = (), pinned: CsvOptions = NO_PINS, name: str | None = None
) -> TableRead:
    """Read a fixed-width file.

    Raises:
        BadFileError: nothing is declared, and no column of blanks runs down the file.
    """
    source = Source(path)
    encoding, bom = text_encoding(source, pinned.encoding)
    sample = _sample(source, encoding, bom)
    found = tuple(fields) or detect_fields(sample)
    if len(found) < 2 and not fields:  # noqa: PLR2004 -- one column is what any text has
        raise BadFileError(
            name or path.name, "no columns of blanks run down its lines.", "Declare `widths` or `columns`."
        )
    lines = _Lines(source, encoding, bom, found, 0 if fields else _usual_length(sample))
    table = find_table(lines.lines(), pinned)
    table = _renamed(table, found)
    positions = [f"{field.start + 1}-{field.end or ''}" for field in found]
    return TableRead(table, lines.lines, {"format": "fixed_width", "encoding": encoding, "positions": positions})


def looks_fixed(path: Path) -> bool:
    """Tell whether a file's lines are surely of fixed width: all as long, or a ruler under the header."""
    source = Source(path)
    sample = _sample(source, *text_encoding(source))
    if len(sample) < MIN_LINES:
        return False
    if any(RULER.fullmatch(line) for line in sample[:20]):
        return len(detect_fields(sample)) > 1
    return bool(_usual_length(sample)) and any(_wide_gap(sample, field.start) for field in detect_fields(sample)[1:])


def _wide_gap(sample: Sequence[str], start: int) -> bool:
    """Tell whether two blanks stand before a position in all lines: one may be in a date with its time."""
    return start > 1 and not any(line[start - 2 : start].strip(" ") for line in _usual(sample))


def _usual_length(sample: Sequence[str]) -> int:
    """Return the length that four of five lines have, 0 if there is none."""
    length, count = Counter(map(len, sample)).most_common(1)[0] if sample else (0, 0)
    return length if count >= len(sample) * 0.8 else 0


def detect_fields(sample: Sequence[str]) -> tuple[Field, ...]:
    """Cut where a column of blanks ends, in the lines of the usual length, or by the ruler where there is one."""
    ruler = next((line for line in sample[:20] if RULER.fullmatch(line)), None)
    if ruler:
        starts = _after_blanks([ruler.replace("+", " ").replace("|", " ")])
    else:
        lines = _usual(sample)
        starts = [start for start in _after_blanks(lines) if _is_edge(lines, start)]
    return tuple(Field("", start, end) for start, end in pairwise([0, *starts[1:], None]) if start is not None)


def _is_edge(lines: Sequence[str], start: int) -> bool:
    """Tell a column's edge from a blank that two words happen to share: it is wide, under a name, or often touched."""
    if all(not line[max(start - 2, 0) : start].strip(" ") for line in lines):
        return True
    if lines[0][start : start + 1].isalpha():
        return True
    touched = sum(1 for line in lines if line[start - 2 : start - 1].strip(" ") or line[start : start + 1].strip(" "))
    return touched >= len(lines) * 0.6


def _usual(sample: Sequence[str]) -> list[str]:
    """Return the lines that reach as far as most do, and what is within; titles above the table are short."""
    lengths = sorted(len(line.rstrip()) for line in sample)
    least = lengths[len(lengths) // 2] * 0.7 if lengths else 0
    stop = _usual_length(sample) or None
    return [line[:stop] for line in sample if len(line.rstrip()) >= least]


def _after_blanks(lines: Sequence[str]) -> list[int]:
    """Return each position where text begins after a blank in all lines."""
    used = 0
    for line in lines:
        used |= int("".join("0" if char == " " else "1" for char in reversed(line)) or "0", 2)
    bits = bin(used)[:1:-1]
    return [i for i, bit in enumerate(bits) if bit == "1" and (i == 0 or bits[i - 1] == "0")] or [0]


def _sample(source: Source, encoding: str, bom: int) -> list[str]:
    lines = decode(source.range(bom, HEAD_BYTES), encoding).split("\n")
    lines = lines[:-1] if source.size > HEAD_BYTES else lines
    return [line.rstrip("\r") for line in lines[:SAMPLE_LINES] if line.strip()]


def _renamed(table: Table, fields: Sequence[Field]) -> Table:
    if not all(field.name for field in fields):
        return table
    return Table(own_names([field.name for field in fields]), table.leading, table.footer_lines, table.comment)


@dataclass(frozen=True, slots=True)
class _Lines:
    source: Source
    encoding: str
    bom: int
    fields: tuple[Field, ...]
    usual_length: int = 0

    def lines(self) -> Iterator[Line]:
        """Yield each line, cut."""
        slices = [slice(field.start, field.end) for field in self.fields]
        last, end = self.fields[-1].start, self.fields[-1].end or self.usual_length
        gaps = self._gaps()
        for number, text in enumerate(self._texts(), 1):
            cells: list[str | None] = [text[cut].strip(" ") or None for cut in slices]
            odd = ""
            if len(text) <= last and text.strip():
                odd = "the line ends before the last column"
            elif end and text[end:].strip(" "):
                odd = "the line goes on after the last column"
            elif gaps and any(text[gap].strip(" ") for gap in gaps):
                odd = "there is text between the columns"
            yield Line(number, cells, text, odd, "a ruler" if RULER.fullmatch(text) else "")

    def _gaps(self) -> list[slice]:
        """Return what lies before and between the columns."""
        edges = [(0, self.fields[0].start), *((a.end or 0, b.start) for a, b in pairwise(self.fields))]
        return [slice(start, end) for start, end in edges if start < end]

    def _texts(self) -> Iterator[str]:
        carry = ""
        for block in self.source.utf8_blocks(self.encoding, self.bom, self.source.size):
            *whole, carry = (carry + block.decode("utf-8", "surrogatepass")).split("\n")
            yield from (line.removesuffix("\r") for line in whole)
        if carry:
            yield carry.removesuffix("\r")
