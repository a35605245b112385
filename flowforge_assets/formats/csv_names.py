"""What the columns of a delimited table are called: names of several header lines joined, made unique, one lacking."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from flowforge_assets.formats.csv_kinds import NEVER_NAMES, kind_of
from flowforge_assets.formats.csv_options import BESIDE_THE_COLUMNS, OWN_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowforge_assets.formats.csv_sample import SampleRecord

FEWEST_NAMED = 5
QUOTES = frozenset("\"'`")


def names_of(
    header: Sequence[SampleRecord], body: Sequence[SampleRecord], width: int, join: str
) -> tuple[tuple[str, ...], int]:
    """Return unique column names and their count, from header records that may be short or long."""
    rows = [_fitted(_without_quotes(record.cells), body, width) for record in header]
    width = max([width, *map(len, rows)]) if rows else width
    parts = [dict.fromkeys(row[i].strip() for row in rows if i < len(row) and row[i].strip()) for i in range(width)]
    return unique_names([join.join(part) for part in parts]), width


def _without_quotes(cells: Sequence[str]) -> Sequence[str]:
    """Take the quotes off names that all stand in such as the file's rows do not have."""
    for quote in QUOTES:
        if len(cells) > 1 and all(len(cell) > 1 and cell[0] == cell[-1] == quote for cell in cells):
            return [cell[1:-1] for cell in cells]
    return cells


def _fitted(cells: Sequence[str], body: Sequence[SampleRecord], width: int) -> list[str]:
    """Fit a header's cells to the rows' width: drop empty ones too many, add the one an index column lacks."""
    fitted = list(cells)
    while len(fitted) > width and not all(cell.strip() for cell in fitted):
        empty = max(i for i, cell in enumerate(fitted) if not cell.strip())
        del fitted[empty]
    if len(fitted) == width - 1 and (is_index_column(body, width) or _are_row_names(body, width)):
        return ["", *fitted]
    return fitted


def is_index_column(body: Sequence[SampleRecord], width: int) -> bool:
    """Tell whether the rows begin with a running number that needs no name."""
    firsts = [record.cells[0].strip() for record in body if record.width == width][:50]
    numbers = [int(text) for text in firsts if text.isascii() and text.isdigit() and len(text) < 12]  # noqa: PLR2004
    steps = [b - a for a, b in pairwise(numbers)]
    return len(numbers) >= 0.9 * len(firsts) > 1 and min(steps, default=0) > 0 and steps.count(1) >= 0.7 * len(steps)


def _are_row_names(body: Sequence[SampleRecord], width: int) -> bool:
    """Tell whether all rows are full, and begin with a text that no other begins with: R writes no name above those."""
    rows = [record.cells for record in body[:300]]
    firsts = {row[0].strip() for row in rows}
    texts = sum(1 for text in firsts if text and kind_of(text) not in NEVER_NAMES)
    full = all(len(row) == width and row[-1].strip() for row in rows)
    return full and len(rows) >= FEWEST_NAMED and texts == len(rows)


def unique_names(names: Sequence[str]) -> tuple[str, ...]:
    """Make names unique: a repeated one gets `_2`, `_3`, an empty third one is `column_3`.

    A column that is called like one of bronze's own counts as repeated; so does one that differs in case only, because
    SQL engines would take one for the other.
    """
    taken = {name.lower() for name in (*OWN_COLUMNS, *BESIDE_THE_COLUMNS)}
    given = {name.lower() for name in names if name}
    unique: list[str] = []
    for position, name in enumerate(names, 1):
        base = name or f"column_{position}"
        final, count = base, 1
        while (low := final.lower()) in taken or (low in given and (count > 1 or not name)):
            count += 1
            final = f"{base}_{count}"
        taken.add(low)
        unique.append(final)
    return tuple(unique)
