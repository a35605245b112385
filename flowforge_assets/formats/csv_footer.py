"""Which lines at the end of a file are no rows: totals, remarks, rulers, emptied rows, a table of its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flowforge_assets.formats.csv_kinds import kind_of
from flowforge_assets.formats.csv_sample import SampleRecord, sample_records
from flowforge_assets.formats.csv_split import OTHER_DELIMITERS, LineSplitter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowforge_assets.formats.csv_layout import Layout

TOTALS = re.compile(
    r"(?:grand |sub-?)?totals?\b.{0,12}|sum|summe|gesamt(?:summe)?|average|avg|mean|median|count"
    r"|end of (?:file|report|data).*|eof|(?:source|notes?|generated|exported|created|printed|copyright|disclaimer)\b.*"
    r"|\(?\d+ (?:rows?|records?|lines?|entries)\b.*|©.*|[-=_*+─═━└┴┘╚╩╝┗┻┛╰╯]{3,}",
    re.IGNORECASE,
)


_TOTAL = re.compile(r"(?:grand )?total|summe|gesamt(?:summe)?", re.IGNORECASE)


def footer_length(tail: Sequence[str], splitter: LineSplitter, layout: Layout) -> int:
    """Return how many physical lines at the end are no rows; blank lines at the very end are not among them."""
    width = len(layout.columns)
    if width < 2:  # noqa: PLR2004
        return 0
    records = sample_records(tail, splitter)
    count = _other_table(records, width, layout)
    kept, seen = records[: len(records) - count], count
    for position in range(len(kept) - 1, max(-1, len(kept) - 40), -1):
        record = kept[position]
        gap = position > 0 and kept[position - 1].line + kept[position - 1].lines < record.line
        seen += 1
        if record.width == 1 and _holds_a_row(record.cells[0], splitter, width):
            break
        if record.width * 2 <= width and _holds_a_row_otherwise(record.text, splitter, layout):
            break
        first = seen == count + 1
        emptied = first and not record.filled and width > 2  # noqa: PLR2004
        if emptied or _is_footer(record, width, layout) or (first and _sums_up(record, kept, width)):
            count = seen
        elif not (record.width < width and record.filled <= max(1, width // 2)) or _fits(record, layout):
            break
        elif gap:
            count = seen
    if not count:
        return 0
    return len(tail) - records[len(records) - count].line


def _sums_up(record: SampleRecord, records: Sequence[SampleRecord], width: int) -> bool:
    """Tell whether the last record is a total that fills all columns: all else is a number, and no other row sums up.

    Of a table of measures (count, mean, total) it is a row.
    """
    name, *cells = (cell.strip() for cell in record.cells)
    again = any(TOTALS.fullmatch(other.cells[0].strip()) for other in records if other is not record)
    numbers = all(kind_of(cell) in {"number", "empty"} for cell in cells)
    return record.width == width and bool(_TOTAL.fullmatch(name)) and numbers and not again


def _holds_a_row(text: str, splitter: LineSplitter, width: int) -> bool:
    """Tell whether a line's only cell is a whole row that was quoted once more."""
    cells = splitter.strict(text)
    return isinstance(cells, list) and len(cells) == width


def _holds_a_row_otherwise(text: str, splitter: LineSplitter, layout: Layout) -> bool:
    """Tell whether another delimiter parts a line into cells that all fit the columns, of which one has a type."""
    typed = [place for place, profile in enumerate(layout.profiles) if profile.strict]
    for delimiter in OTHER_DELIMITERS if typed else ():
        cells = LineSplitter(delimiter, splitter.quote, splitter.escape).strict(text)
        if isinstance(cells, list) and len(cells) == len(layout.columns) and delimiter != splitter.delimiter:
            return all(layout.profiles[place].misfit(cells[place]) < 1 for place in typed)
    return False


def _other_table(records: Sequence[SampleRecord], width: int, layout: Layout) -> int:
    """Return how many records at the end, after a blank line, are a table of their own: two or more, none that fits."""
    for position in range(len(records) - 1, max(0, len(records) // 2), -1):
        above, record = records[position - 1], records[position]
        if _belongs(record, width, layout):
            return 0
        if above.line + above.lines < record.line:
            count = len(records) - position
            return count if count > 1 else 0
    return 0


def _belongs(record: SampleRecord, width: int, layout: Layout) -> bool:
    """Tell whether a record may be a row: about as wide, and every typed cell or no typed column says otherwise."""
    if record.width != width + layout.trailing:
        return abs(record.width - width) == 1 and _fits(record, layout)
    told = [p.misfit(c) < 0.5 for c, p in zip(record.cells, layout.profiles, strict=False) if p.strict]  # noqa: PLR2004
    return not told or 2 * sum(told) > len(told)


def _fits(record: SampleRecord, layout: Layout) -> bool:
    cells = [(c, p) for c, p in zip(record.cells, layout.profiles, strict=False) if p.strict and c.strip()]
    return bool(cells) and all(kind_of(cell) == column.kind for cell, column in cells)


def _is_footer(record: SampleRecord, width: int, layout: Layout) -> bool:
    """Tell a totals line or a remark from a row."""
    filled = [cell for cell in record.cells if cell.strip()]
    if not filled or record.lines > 1:
        return False
    said = bool(TOTALS.fullmatch(filled[0].strip()))
    odd = layout.profiles[0].strict and layout.profiles[0].misfit(record.cells[0]) >= 0.6  # noqa: PLR2004
    if said and record.width <= width + 1 and (len(filled) * 2 <= width or odd or record.width < width):
        return True
    full = layout.profiles[-1].strict and not layout.profiles[-1].ever_empty
    alone = len(filled) == 1 and bool(record.cells[0].strip()) and (width > 2 or (full and " " in filled[0].strip()))  # noqa: PLR2004
    return alone and not _fits(record, layout) and (record.width in {1, width, width + 1})
