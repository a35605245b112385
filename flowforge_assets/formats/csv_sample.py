"""The first lines of a file as records under a supposed dialect: what detection weighs.

A record that cannot be split by the rules is split as well as can be and marked damaged; nothing is repaired here.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from flowforge_assets.formats.csv_kinds import may_be_names
from flowforge_assets.formats.csv_split import Damage, LineSplitter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# A record of more lines is believed only where nothing in it looks like a record, and its quote is soon found to close.
LOOK_AHEAD_LINES, LONGEST_LOOK_LINES, LATE_TRIES = 60, 5_000, 3
FEWEST_ROWS, REGULAR, EVEN, FEW, NAMES_WITHIN = 6, 0.9, 0.7, 0.05, 60
ENOUGH_FOR_ONE, FEW_CELLS = 10, 3


@dataclass(frozen=True, slots=True)
class SampleRecord:
    """One record of the sample, with the physical lines it stands on."""

    cells: list[str]
    line: int
    lines: int
    damaged: bool
    text: str

    @property
    def width(self) -> int:
        """Count of cells."""
        return len(self.cells)

    @property
    def reach(self) -> int:
        """Count of cells up to the last that holds text."""
        return max((i + 1 for i, cell in enumerate(self.cells) if cell.strip()), default=0)

    @property
    def filled(self) -> int:
        """Count of cells that hold text."""
        return sum(1 for cell in self.cells if cell.strip())


def is_blank(line: str, delimiter: str) -> bool:
    """Tell whether a line holds nothing; one of delimiters only is a record of empty cells."""
    return not line.strip(" \t\x00\x0b\x0c\x1a\u00a0\ufeff") and delimiter not in line


def sample_records(lines: Sequence[str], splitter: LineSplitter, *, max_cells: int = 200_000) -> list[SampleRecord]:
    """Split lines into records; blank lines are left out."""
    records: list[SampleRecord] = []
    position, cells = 0, 0
    while position < len(lines) and cells < max_cells:
        if is_blank(lines[position], splitter.delimiter):
            position += 1
            continue
        record = _record(lines, position, splitter)
        records.append(record)
        cells += record.width
        position += record.lines
    return records


def _record(lines: Sequence[str], position: int, splitter: LineSplitter) -> SampleRecord:
    text = lines[position]
    cells = splitter.strict(text)
    if cells is Damage.OPEN:
        joined = _joined(lines, position, splitter)
        if joined:
            return joined
    if isinstance(cells, list):
        return SampleRecord(cells, position, 1, damaged=False, text=text)
    pieces = [splitter.unquote(piece)[0] for piece in text.split(splitter.delimiter)]
    return SampleRecord(pieces, position, 1, damaged=True, text=text)


def _joined(lines: Sequence[str], position: int, splitter: LineSplitter) -> SampleRecord | None:
    """Join lines until an open quote closes by the rules; None if it does not soon."""
    for stop in _ends(lines, position, splitter):
        text = "\n".join(lines[position:stop])
        cells = splitter.strict(text)
        if isinstance(cells, list):
            return SampleRecord(cells, position, stop - position, damaged=False, text=text)
        if cells is Damage.ODD:
            return None
    return None


def _ends(lines: Sequence[str], position: int, splitter: LineSplitter) -> Iterator[int]:
    """Yield the lines with which a record may end: any near one with a quote, a few far ones with an odd count of them."""
    near = min(position + LOOK_AHEAD_LINES, len(lines))
    yield from (stop for stop in range(position + 2, near + 1) if splitter.quote in lines[stop - 1])
    far = range(near + 1, min(position + LONGEST_LOOK_LINES, len(lines)) + 1)
    odd = (stop for stop in far if lines[stop - 1].count(splitter.quote) % 2)
    for stop in islice(odd, LATE_TRIES):
        swallowed = lines[position + 1 : stop - 1]
        like = lines[position].count(splitter.delimiter)
        if sum(1 for line in swallowed if line.count(splitter.delimiter) == like) * 2 > len(swallowed):
            return
        yield stop


def usual_width(records: Sequence[SampleRecord]) -> int:
    """Return the count of cells most records have; the wider of two that come equally often."""
    widths = Counter(record.width for record in below_preamble(records))
    return max(widths, key=lambda width: (widths[width], width), default=0)


def names_widest(records: Sequence[SampleRecord]) -> bool:
    """Tell whether the first record is names, and no other is wider: rows may then be short, and are not odd."""
    first = records[0]
    if first.width < FEW_CELLS or first.filled < first.width or not may_be_names(first.cells):
        return False
    return all(record.width <= first.width for record in records)


def evened(records: list[SampleRecord]) -> tuple[list[SampleRecord], int]:
    """Cut off the empty cells that lines end in, some in more than others; and how many those usually are.

    The table is then as wide as one line in twenty is filled, and as names above it: hardly a line may have less.
    """
    widths = Counter(record.width for record in records)
    usual, often = widths.most_common(1)[0] if widths else (0, 0)
    used = sum(1 for record in records if record.width == usual and record.cells[-1].strip())
    even = often >= EVEN * len(records)
    if usual < 2 or (even and used > few_of(often)):  # noqa: PLR2004
        return records, 0
    wide = [record for record in records if record.width * 2 >= usual and not record.damaged]
    reaches = sorted((record.reach for record in wide if not even or record.width == usual), reverse=True)
    if not reaches:
        return records, 0
    names = next((r.reach for r in wide[:NAMES_WITHIN] if r.filled == r.reach <= usual), 0)
    damaged = few_of(len(reaches)) if even else int((1 - REGULAR) * len(reaches))
    width = max(reaches[damaged], names)
    enough = sum(1 for record in wide if record.width >= width >= record.reach)
    more = Counter(record.width - width for record in wide if record.width > width)
    if width < 2 or enough < (REGULAR if used else EVEN) * len(wide) or not more:  # noqa: PLR2004
        return records, 0
    cut = [replace(record, cells=record.cells[: max(width, record.reach)]) for record in records]
    return cut, more.most_common(1)[0][0]


def few_of(count: int) -> int:
    """How many of so many records may be damaged, and the others still tell what the table is like."""
    return max(int(FEW * count), int(count >= ENOUGH_FOR_ONE))


def below_preamble(records: Sequence[SampleRecord]) -> Sequence[SampleRecord]:
    """Leave out a preamble of more lines than the table has: what is wide and regular to the end is the table."""
    if len(records) < 2 * FEWEST_ROWS:
        return records
    if narrow := _narrow_at_end(records):
        return narrow
    tail = Counter(record.width for record in records[-max(FEWEST_ROWS, len(records) // 4) :])
    width, _ = tail.most_common(1)[0]
    usual, often = Counter(record.width for record in records).most_common(1)[0]
    if width <= max(usual, 2) or often * 2 < len(records):
        return records
    first = next(n for n, record in enumerate(records) if record.width == width)
    table = records[first:]
    regular = sum(1 for record in table if record.width == width)
    return table if len(table) >= FEWEST_ROWS and regular >= REGULAR * len(table) else records


def _narrow_at_end(records: Sequence[SampleRecord]) -> Sequence[SampleRecord]:
    """Find a table of two columns under sentences: pairs without a blank between them to the end, and few above."""
    last = len(records) - 1
    while last > len(records) - FEWEST_ROWS and not _is_pair(records[last]):
        last -= 1
    first = last + 1
    # A line between pairs may be damaged.
    while first and (_is_pair(records[first - 1]) or (first > 1 and _is_pair(records[first - 2]))):
        first -= 1
    above = sum(1 for record in records[:first] if record.width == 1)
    pairs = sum(1 for record in records if record.width <= 2)  # noqa: PLR2004
    enough = last + 1 - first >= FEWEST_ROWS and pairs >= EVEN * len(records)
    return records[first:] if enough and above * 2 > first else []


def _is_pair(record: SampleRecord) -> bool:
    return record.width == 2 and record.cells[1][:1] != " "  # noqa: PLR2004
