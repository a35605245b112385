"""Numbers whose comma was taken for a delimiter in every row: `49,25` under one name, `32,738,122` under one.

Names above the rows tell how many columns there are. Nothing is joined where a row can be read without: single rows that
were cut are mended by `csv_align`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from flowforge_assets.formats.csv_kinds import NEVER_WORDS, kind_of
from flowforge_assets.formats.csv_names import is_index_column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowforge_assets.formats.csv_sample import SampleRecord

FEWEST_ROWS, NEARLY_ALL = 3, 0.95
_BEGIN, _GROUP = re.compile(r"[-+]?[$€£]?\d{1,3}"), re.compile(r"\d{3}(?:\.\d+)?")
_WHOLE, _BEHIND = re.compile(r"[-+]?\d+"), re.compile(r"\d{1,4}")
_NUMBERED = re.compile(r"id|nr\.?|no\.?|num(?:ber)?|#|key|row|index|line|lfd.*|pos\.?|.*[_ ]id", re.IGNORECASE)


def with_whole_numbers(records: list[SampleRecord], delimiter: str) -> list[SampleRecord]:
    """Join the pieces of numbers where each row has more cells than there are names, and as many when they are joined."""
    names, rows = records[0], records[1:]
    if delimiter != "," or len(rows) < FEWEST_ROWS or not _are_names(names.cells):
        return records
    wider = sum(1 for row in rows if row.width > names.width)
    if wider < NEARLY_ALL * len(rows):
        return records
    joined = _grouped(rows, names.width) or _decimal(rows, names)
    return [names, *joined] if joined else records


def _are_names(cells: Sequence[str]) -> bool:
    return len(cells) > 1 and all(cell.strip() and kind_of(cell) not in NEVER_WORDS for cell in cells)


def _grouped(rows: Sequence[SampleRecord], width: int) -> list[SampleRecord]:
    """Join groups of three digits to what they follow; empty unless that leaves a cell for each name."""
    joined = [replace(row, cells=_with_groups(row.cells), damaged=True) for row in rows]
    fitting = sum(1 for row in joined if row.width == width)
    return joined if fitting >= NEARLY_ALL * len(rows) else []


def _with_groups(cells: Sequence[str]) -> list[str]:
    joined: list[str] = []
    inside = False
    for cell in cells:
        if inside and _GROUP.fullmatch(cell):
            joined[-1] += "," + cell
            inside = "." not in cell
        else:
            joined.append(cell)
            inside = bool(_BEGIN.fullmatch(cell))
    return joined


def _decimal(rows: Sequence[SampleRecord], names: SampleRecord) -> list[SampleRecord]:
    """Join the one pair of columns that are a number and as many digits behind it in all rows; empty if there is none."""
    width = names.width
    full = [row for row in rows if row.width == width + 1]
    counted = is_index_column(full, width + 1)
    if len(full) < NEARLY_ALL * len(rows) or (counted and not _NUMBERED.fullmatch(names.cells[0].strip())):
        return []
    places = [place for place in range(width) if _is_cut([row.cells[place : place + 2] for row in full])]
    # A running number without a name before a number is two columns.
    if len(places) != 1 or (counted and places == [0]):
        return []
    at = places[0]
    return [
        replace(row, cells=[*row.cells[:at], ",".join(row.cells[at : at + 2]), *row.cells[at + 2 :]], damaged=True)
        for row in rows
    ]


def _is_cut(pairs: Sequence[Sequence[str]]) -> bool:
    """Tell whether pairs of cells are all numbers cut at the comma, with as many digits behind it."""
    digits = {len(behind) for _, behind in pairs}
    return len(digits) == 1 and all(_WHOLE.fullmatch(a) and _BEHIND.fullmatch(b) for a, b in pairs)
