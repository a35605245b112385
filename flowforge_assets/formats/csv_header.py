"""Whether a record is the names of the columns under it, goes on with them, or is the names once more.

A header is the normal case: it is denied only where the first record looks like the rows under it.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

from flowforge_assets.formats.csv_kinds import EMPTY, MISSING, NEVER_NAMES, NEVER_WORDS, TYPED, kind_of
from flowforge_assets.formats.csv_names import QUOTES

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from flowforge_assets.formats.csv_kinds import ColumnProfile
    from flowforge_assets.formats.csv_sample import SampleRecord

UNIT = re.compile(r"\([^()]{1,20}\)|\[[^\[\]]{1,20}\]")
MANY_NAMES, MOST_SHARE = 3, 0.6


def header_like(first: Sequence[str], columns: Sequence[ColumnProfile], body: Sequence[Sequence[str]]) -> bool:
    """Weigh whether a record is a header of the rows under it; in doubt it is."""
    if not body:
        typed = sum(kind_of(cell) in NEVER_WORDS for cell in first)
        return typed * 3 < len(first) or _counts_up(first)
    if _counts_up(first) or _numbers_above_others(first, body):
        return True
    for_it = against = 0.0
    for index, (cell, column) in enumerate(zip(first, columns, strict=False)):
        kind = kind_of(cell)
        if kind in {EMPTY, MISSING}:
            against += 0.1
        elif column.strict:
            for_it += kind != column.kind
            against += kind == column.kind
        elif column.values is not None:
            against += 1.0 if cell in column.values else 0.0
            for_it += 0.0 if cell in column.values else 0.6
        else:
            against += 0.6 if kind in NEVER_NAMES else 0.0
            for_it += _shape_contrast(cell, [row[index] for row in body if index < len(row)])
    return against <= for_it + 0.5


def surely_header(names: Sequence[str], columns: Sequence[ColumnProfile]) -> bool:
    """Tell whether a record has another kind than its column in every typed column, of which there is one."""
    told = [kind_of(name) != column.kind for name, column in zip(names, columns, strict=False) if column.strict]
    return bool(told) and all(told)


def _shape_contrast(cell: str, column: Sequence[str]) -> float:
    """Return evidence that a cell of a text column is its name: other length or alphabet than all its cells."""
    lengths = [len(c) for c in column if c]
    if len(lengths) < 3:  # noqa: PLR2004
        return 0.1
    outside = len(cell) < min(lengths) or len(cell) > max(lengths)
    digits = all(any(ch.isdigit() for ch in c) for c in column if c) and not any(ch.isdigit() for ch in cell)
    return 0.1 + 0.3 * outside + 0.4 * digits + (0.3 if "_" in cell and not any("_" in c for c in column) else 0.0)


def _counts_up(first: Sequence[str]) -> bool:
    """Recognise names such as 2019, 2020, 2021 after at most two texts."""
    digits = [cell.strip() for cell in first if cell.strip().isascii() and cell.strip().isdigit()]
    numbers = [int(text) for text in digits if len(text) == len("2019")]
    steps = {b - a for a, b in pairwise(numbers)}
    texts = sum(1 for cell in first if cell.strip()) - len(numbers)
    return len(numbers) >= 3 and steps == {1} and texts in {1, 2} and 1800 <= numbers[0] <= 2200  # noqa: PLR2004


def _numbers_above_others(first: Sequence[str], body: Sequence[Sequence[str]]) -> bool:
    """Recognise names 0, 1, 2 or 2019, 2020, 2021 of all columns, where hardly a cell below is such a number."""
    texts = [cell.strip() for cell in first]
    if len(texts) < 4 or not all(text.isascii() and text.isdigit() for text in texts):  # noqa: PLR2004
        return False
    low, high = int(texts[0]), int(texts[-1])
    in_steps = high - low == len(texts) - 1 and [int(text) for text in texts] == list(range(low, high + 1))
    below = [cell.strip() for row in body for cell in row if cell.strip()]
    such = sum(1 for cell in below if cell.isdigit() and len(cell) <= len(texts[-1]))
    return in_steps and (low in {0, 1} or 1800 <= low <= 2200) and such <= 0.2 * len(below)  # noqa: PLR2004


def more_header(
    above: SampleRecord, record: SampleRecord, columns: Sequence[ColumnProfile], rest: Sequence[Sequence[str]]
) -> bool:
    """Tell whether a record under a header goes on with it: text in every typed column it fills, in most of them."""
    quoted = record.damaged or any(cell[:1] in QUOTES and cell[:1] == cell[-1:] for cell in record.cells)
    if len(rest) < 2 or not min(len(columns), above.width) <= record.width <= len(columns) + 1 or quoted:  # noqa: PLR2004
        return False
    if record.width > len(columns) and _is_shifted_row(record, columns):
        return False
    typed = [(cell, column) for cell, column in zip(record.cells, columns, strict=False) if column.strict]
    told = [kind_of(cell) != column.kind for cell, column in typed if kind_of(cell) not in {EMPTY, MISSING}]
    units = all(UNIT.fullmatch(cell.strip()) for cell in record.cells if cell.strip())
    if (units and record.filled > 1) or (not typed and _names_under_groups(above, record)):
        return True
    if all(told) and _fills_gaps(above, record, columns):
        return True
    return bool(told) and all(told) and (len(told) * 2 >= len(typed) or record.filled <= len(told) + 1)


def _is_shifted_row(record: SampleRecord, columns: Sequence[ColumnProfile]) -> bool:
    """Tell whether a record with a cell too many is a row with an empty one put in between."""
    empty = [place for place, cell in enumerate(record.cells) if not cell.strip()]
    fitted = [[*record.cells[:place], *record.cells[place + 1 :]] for place in empty]
    return any(
        kind_of(cell) == column.kind
        for cells in fitted
        for cell, column in zip(cells, columns, strict=False)
        if column.strict
    )


def _names_under_groups(above: SampleRecord, record: SampleRecord) -> bool:
    """Tell whether a record fills what the first header line leaves empty, in a table that is all text."""
    empty = sum(1 for cell in above.cells if not cell.strip())
    full = record.filled == record.width == above.width and len(set(record.cells)) == record.width
    adjacent = above.line + above.lines == record.line
    return adjacent and full and empty * 3 >= above.width and not any(kind_of(cell) in TYPED for cell in record.cells)


def _fills_gaps(above: SampleRecord, record: SampleRecord, columns: Sequence[ColumnProfile]) -> bool:
    """Tell whether a record names every column the first header line leaves empty, and no cell of it may be a row's.

    It is empty where a typed column never is below.
    """
    if above.width != record.width or above.line + above.lines != record.line or above.filled == above.width:
        return False
    gaps = all(below.strip() for name, below in zip(above.cells, record.cells, strict=True) if not name.strip())
    never = [column.strict and not column.ever_empty for column in columns]
    lacks = any(full and not cell.strip() for full, cell in zip(never, record.cells, strict=False))
    return gaps and lacks and not any(kind_of(cell) in TYPED for cell in record.cells)


def alone_repeated(header: SampleRecord, body: Sequence[SampleRecord]) -> bool:
    """Tell whether a header of texts stands among the rows once more, where no row does and no cell of it is a row's."""
    if header.width < MANY_NAMES or len(set(header.cells)) < header.width:
        return False
    again = [record.cells for record in body if is_same(record.cells, header.cells)]
    if any(cells[0].startswith("\ufeff") for cells in again):
        return True
    rows = [record.cells for record in body if record.cells not in again]
    distinct = {tuple(row) for row in rows}
    unlike = not any(name == cell for row in distinct for name, cell in zip(header.cells, row, strict=False))
    return bool(again) and unlike and (len(distinct) == len(rows) or _share_cells(distinct))


def _share_cells(rows: Collection[Sequence[str]]) -> bool:
    """Tell whether most rows have a cell in common with another, as a header has with none."""
    counts = Counter((place, cell) for row in rows for place, cell in enumerate(row) if cell.strip())
    return sum(any(counts[cell] > 1 for cell in enumerate(row)) for row in rows) >= MOST_SHARE * len(rows)


def is_same(cells: Sequence[str], first: Sequence[str]) -> bool:
    """Tell whether a record is the first once more, as where files were joined end to end, byte order marks and all."""
    return cells == first or [cells[0].lstrip("\ufeff"), *cells[1:]] == first
