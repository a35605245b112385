"""Tables in frames without a ruler of joints: bars at both ends of each line, or cells aligned by blanks.

SAP's lists and wiki tables draw bars around rows, and a ruler as one line or none; statistics programs print columns flush
right. What is recognised here is only the shape; `csv_guise` writes it as CSV.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

BARS = ("|", "│", "║", "┃")
ENOUGH, NEARLY_ALL, FEWEST_LINES, FEWEST_ALIGNED = 0.8, 0.95, 2, 3
_RULER = re.compile(r"[-=_─═+|│║┃ ]{3,}")
_CELL = re.compile(r"\S+")
_DELIMITED = (",", ";", "\t", "|", '"')


def framing_bar(lines: Sequence[str]) -> str:
    """Return the bar that begins and ends the rows, as many within each; nothing where there is none."""
    return next((bar for bar in BARS if _framed(lines, bar)), "")


def _framed(lines: Sequence[str], bar: str) -> bool:
    told = [line.strip() for line in lines if line.strip() and not _RULER.fullmatch(line.strip())]
    first = next((place for place, line in enumerate(told) if _is_framed(line, bar)), len(told))
    rows = [line[1:-1].split(bar) for line in told[first:] if _is_framed(line, bar)]
    if len(rows) < FEWEST_LINES or len(rows) < ENOUGH * len(told[first:]) or first > len(rows):
        return False
    width, count = Counter(map(len, rows)).most_common(1)[0]
    if width < FEWEST_LINES or len(rows[0]) != width or count < ENOUGH * len(rows):
        return False
    # Cells in bars for quotes have nothing but a delimiter between them.
    marks_only = any(
        not any(any(char.isalnum() for char in row[place]) or not row[place].strip() for row in rows)
        for place in range(min(map(len, rows)))
    )
    quoted = any(cell.strip()[:1] == '"' for row in rows for cell in row)
    return not marks_only and not quoted


def _is_framed(line: str, bar: str) -> bool:
    return len(line) > FEWEST_LINES and line.startswith(bar) and line.endswith(bar) and not line.endswith("\\" + bar)


def aligned(lines: Sequence[str]) -> bool:
    """Tell whether all lines have as many cells without blanks in them, and each column ends or begins at one place."""
    told = [line for line in lines if line.strip()]
    cells = [[found.span() for found in _CELL.finditer(line)] for line in told]
    if len(cells) < FEWEST_ALIGNED or not cells[0]:
        return False
    width = len(cells[0])
    rows = [row for row in cells if len(row) == width]
    delimited = any(sum(mark in line for line in told) >= ENOUGH * len(told) for mark in _DELIMITED)
    if width < FEWEST_ALIGNED or len(rows) < NEARLY_ALL * len(cells) or delimited:
        return False
    return all(_flush([row[place] for row in rows]) for place in range(width))


def _flush(spans: Sequence[tuple[int, int]]) -> bool:
    """Tell whether the cells of a column begin, or end, at one place."""
    return any(Counter(edge).most_common(1)[0][1] >= NEARLY_ALL * len(spans) for edge in zip(*spans, strict=True))
