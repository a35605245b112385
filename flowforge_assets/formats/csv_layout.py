"""Where a file's table begins: what stands above, which records are the header.

What a header looks like is in `csv_header`; what stands below the table in `csv_footer`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from flowforge_assets.formats.csv_cut_numbers import with_whole_numbers
from flowforge_assets.formats.csv_header import (
    MANY_NAMES,
    alone_repeated,
    header_like,
    is_same,
    more_header,
    surely_header,
)
from flowforge_assets.formats.csv_kinds import NEVER_WORDS, ColumnProfile, kind_of, may_be_names, profiles
from flowforge_assets.formats.csv_names import is_index_column, names_of
from flowforge_assets.formats.csv_sample import (
    SampleRecord,
    below_preamble,
    evened,
    few_of,
    names_widest,
    sample_records,
    usual_width,
)
from flowforge_assets.formats.csv_split import OTHER_DELIMITERS, LineSplitter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowforge_assets.formats.csv_options import CsvOptions, Role

COMMENT_MARKS = ("#", "//", "%", "--", "!")
MAX_HEADER_RECORDS = 4
MAX_PREAMBLE_RECORDS = 60


@dataclass(frozen=True, slots=True)
class Layout:
    """The table's place in the head of a file."""

    columns: tuple[str, ...]
    leading: tuple[Role, ...]
    trailing: int
    comment: str
    profiles: tuple[ColumnProfile, ...]
    header_text: str = ""


def find_layout(lines: Sequence[str], splitter: LineSplitter, pinned: CsvOptions, declared: int = 0) -> Layout:
    """Decide where the table begins and what its columns are called; the first lines may declare the delimiter."""
    skip = max(pinned.skip_lines or 0, declared)
    comment = _comment_mark(lines[skip:], splitter) if pinned.comment is None else pinned.comment
    shown = ["" if i < skip or _is_comment(line, comment, splitter) else line for i, line in enumerate(lines)]
    records, uneven = sample_records(shown, splitter), 0
    if pinned.trailing_delimiter is None:
        records, uneven = evened(records)
    if not records:
        return Layout((), _roles(lines, (), len(lines), skip, comment), trailing=0, comment=comment, profiles=())
    records = with_whole_numbers(records, splitter.delimiter)
    width = _width(records)
    first = 0 if pinned.skip_lines is not None else _first_of_table(records, width)
    table = records[first:]
    trailing = _trailing(table, width) if pinned.trailing_delimiter is None else int(pinned.trailing_delimiter)
    trailing = min(trailing, width - 1)
    width -= trailing
    header = _header(records, first, width, splitter, pinned)
    if not header and pinned.header is None:
        header = _named_in_comment(lines, table, width, comment, splitter)
    start = header[-1].line + header[-1].lines if header else table[0].line
    body = [record for record in records if record.line >= start]
    names, width = names_of(header, body, width, pinned.header_join)
    heads = tuple(range_of for record in header for range_of in range(record.line, record.line + record.lines))
    end = body[0].line if body else len(lines)
    rows = [record.cells[:width] if trailing and record.width == width + trailing else record.cells for record in body]
    columns = profiles([row for row in rows[:400] if row != (header[-1].cells if header else None)], width)
    sure = bool(header) and (surely_header(header[-1].cells, columns) or alone_repeated(header[-1], body))
    text = header[-1].text if sure else ""
    return Layout(names, _roles(lines, heads, end, skip, comment), trailing or uneven, comment, columns, text)


def _width(records: Sequence[SampleRecord]) -> int:
    """Return the count of the table's columns: of names above rows that end where they have no more to say, theirs."""
    usual, first = usual_width(records), records[0]
    as_wide = sum(1 for record in records if record.width == first.width)
    return first.width if as_wide > 1 and names_widest(records) and len(set(first.cells)) == first.width else usual


def _roles(lines: Sequence[str], heads: Sequence[int], end: int, skip: int, comment: str) -> tuple[Role, ...]:
    """Name what each physical line above the first row is."""
    header = set(heads)

    def role(i: int) -> Role:
        if i in header:
            return "header"
        if i < skip and lines[i].strip():
            return "preamble"
        if not lines[i].strip():
            return "blank"
        return "comment" if comment and lines[i].startswith(comment) else "preamble"

    return tuple(role(i) for i in range(end))


def _is_comment(line: str, comment: str, splitter: LineSplitter) -> bool:
    return bool(comment) and line.startswith(comment) and comment != splitter.delimiter


def _comment_mark(lines: Sequence[str], splitter: LineSplitter) -> str:
    """Find a mark at the beginning of a few lines that do not look like the table's rows."""
    filled = [line for line in lines[:1000] if line.strip()]
    for mark in COMMENT_MARKS:
        marked = [line for line in filled if line.startswith(mark)]
        if not marked or mark == splitter.delimiter or len(marked) > 0.5 * len(filled):
            continue
        plain = sample_records([line for line in filled if not line.startswith(mark)], splitter)
        width = usual_width(plain)
        odd = [record for record in sample_records(marked, splitter) if record.width != width]
        if width > 1 and not odd and marked[0] == filled[0] and plain:
            names = plain[0].cells
            body = [record.cells for record in plain[1:300] if record.width == width]
            odd = plain[:1] if body and surely_header(names, profiles(body, width)) else []
        if (width > 1 and odd) or (width == 1 and filled[0].startswith(mark) and mark in {"#", "//"}):
            return mark
    return ""


def _first_of_table(records: Sequence[SampleRecord], width: int) -> int:
    """Return the index of the first record that is as wide and as filled as the table."""
    if width == 1:
        return 0
    usual = [record.filled for record in records if record.width == width]
    enough = max(2, 0.5 * sorted(usual)[len(usual) // 2]) if width > 2 else 1  # noqa: PLR2004
    above = len(records) - len(below_preamble(records)) if width == 2 else 0  # noqa: PLR2004
    for index, record in enumerate(records[: above + MAX_PREAMBLE_RECORDS]):
        if (
            index >= above
            and _near(records, index, width)
            and record.filled >= enough
            and _followed(records, index, width)
        ):
            return _after_pairs(records, index, width)
    return 0


def _near(records: Sequence[SampleRecord], index: int, width: int) -> bool:
    """Tell whether a record is as wide as the table, or one cell short as a header may be."""
    record = records[index]
    if record.width >= width or width < 3:  # noqa: PLR2004
        return record.width >= width
    if record.width < width - 1:
        return False
    adjacent = index + 1 < len(records) and records[index + 1].line == record.line + record.lines
    filled = record.filled == record.width
    if adjacent and not any(below.width == width for below in _right_below(records, index)):
        return False
    return (adjacent and (width > 3 or filled)) or is_index_column(records[index + 1 :], width)  # noqa: PLR2004


def _right_below(records: Sequence[SampleRecord], index: int) -> Iterator[SampleRecord]:
    """Yield the two records under one, unless a blank line stands between."""
    for above, record in pairwise(records[index : index + 3]):
        if above.line + above.lines < record.line:
            return
        yield record


def _followed(records: Sequence[SampleRecord], index: int, width: int) -> bool:
    """Tell whether the records after this one are mostly as wide as the table."""
    after = records[index + 1 : index + 6]
    return records[index].width == width or not after or sum(r.width == width for r in after) * 2 > len(after)


def _after_pairs(records: Sequence[SampleRecord], first: int, width: int) -> int:
    """Go past `name,value` lines above a narrow table: a blank line or an empty cell, then what is surely a header.

    Above a wider one a sentence may have as many words as the table columns: but one, and a blank line below it.
    """
    narrow = width <= 3  # noqa: PLR2004
    for index in range(first + 1, min(first + (8 if narrow else 2), len(records) - 2)):
        above, record = records[index - 1], records[index]
        gap = above.line + above.lines < record.line and (narrow or _right_above(records, index + 1) is not None)
        if record.width == width and (gap or (narrow and above.filled < width)) and record.filled == width:
            body = [r.cells for r in records[index + 1 : index + 300] if r.width == width]
            columns = profiles(body, width)
            if surely_header(record.cells, columns) and may_be_names(record.cells):
                return index
    return first


def _trailing(table: Sequence[SampleRecord], width: int) -> int:
    """Count the delimiters at the end of the lines that begin no further cell: none names a column, or is ever filled.

    Where it is but one, a few of its cells may be filled: the rows that have a cell too many.
    """
    body = [record for record in table if record.width == width]
    if len(body) < 2:  # noqa: PLR2004
        return 0
    named = max((i + 1 for i, cell in enumerate(table[0].cells[:width]) if cell.strip()), default=0)
    count = 0
    for place in range(width - 1, max(named, 1) - 1, -1):
        filled = sum(1 for record in body if record.cells[place].strip())
        if filled > (0 if count else few_of(len(body))):
            break
        count += 1
    return count


def _header(
    records: Sequence[SampleRecord], first: int, width: int, splitter: LineSplitter, pinned: CsvOptions
) -> list[SampleRecord]:
    """Return the records that hold the columns' names."""
    table = records[first:]
    if pinned.header is not None:
        return list(table[: int(pinned.header)])
    wide = [record.cells for record in table[1:] if record.width in {width, width + 1}]
    body = [cells for cells in wide if not is_same(cells, table[0].cells)][:300]
    columns = profiles([row[:width] for row in body], width)
    sure = surely_header(table[0].cells[:width], columns)
    if not sure and (names := _other_delimiter(records, first, width, splitter, OTHER_DELIMITERS[:4])):
        return [names]
    if not header_like(table[0].cells[:width], columns, body):
        above = _odd_header(records, first, width, splitter)
        return [above] if above else []
    header = [*_groups_above(records, first, width), table[0]]
    for record in table[1:MAX_HEADER_RECORDS]:
        below = [r for r in table if r.line > record.line]
        rest = [r.cells[:width] for r in below if r.width in {width, width + 1}][:300]
        if record.cells != table[0].cells and not more_header(table[0], record, profiles(rest, width), rest):
            break
        header.append(record)
    return header


def _named_in_comment(
    lines: Sequence[str], table: Sequence[SampleRecord], width: int, comment: str, splitter: LineSplitter
) -> list[SampleRecord]:
    """Find names in the comment right above rows that have none: as many, and all of them texts."""
    place = table[0].line - 1
    if not comment or place < 0 or not lines[place].startswith(comment) or width < MANY_NAMES:
        return []
    text = lines[place].removeprefix(comment).strip(" ")
    cells = splitter.strict(text)
    if not isinstance(cells, list) or len(cells) != width or not all(cell.strip() for cell in cells):
        return []
    named = not any(kind_of(cell) in NEVER_WORDS for cell in cells)
    return [SampleRecord(cells, place, 1, damaged=True, text=lines[place])] if named else []


def _groups_above(records: Sequence[SampleRecord], first: int, width: int) -> list[SampleRecord]:
    """Find a line of group names right above the header: as wide, with empty cells between the names."""
    above = records[first - 1] if first else None
    if above is None or above.width != width or above.line + above.lines != records[first].line:
        return []
    names = [bool(cell.strip()) for cell in above.cells]
    spread = any(not a and b for a, b in pairwise(names))
    return [above] if spread and sum(names) > names[0] else []


def _odd_header(records: Sequence[SampleRecord], first: int, width: int, splitter: LineSplitter) -> SampleRecord | None:
    """Find a header above the rows that is short or written with another delimiter."""
    if width < 3:  # noqa: PLR2004 -- two words are any title
        return None
    above = _right_above(records, first)
    named = _other_delimiter(records, first, width, splitter, OTHER_DELIMITERS)
    short = above is not None and above.width * 2 >= width and above.filled == above.width
    return named or (above if short else None)


def _right_above(records: Sequence[SampleRecord], first: int) -> SampleRecord | None:
    """Return the record above one, unless a blank line stands between."""
    above = records[first - 1] if first else None
    return above if above is not None and above.line + above.lines == records[first].line else None


def _other_delimiter(
    records: Sequence[SampleRecord], first: int, width: int, splitter: LineSplitter, delimiters: Sequence[str]
) -> SampleRecord | None:
    """Find names right above the rows that another delimiter parts into as many cells as the table has columns."""
    above = _right_above(records, first)
    if above is None or above.width >= width:
        return None
    # A line that is quoted as a whole is one cell.
    texts = [(splitter.delimiter, above.cells[0])] if above.width == 1 else []
    for delimiter, text in [*texts, *((delimiter, above.text) for delimiter in delimiters)]:
        cells = LineSplitter(delimiter, splitter.quote, splitter.escape).strict(text)
        if isinstance(cells, list) and len(cells) == width and may_be_names(cells):
            return SampleRecord(cells, above.line, above.lines, damaged=True, text=above.text)
    return None
