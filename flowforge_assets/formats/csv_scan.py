"""Where the records of a block of bytes begin and end, and which are regular: vectorised, no cell is looked at.

A block whose quotes all stand where quotes may stand is cut into records; another is cut into physical lines, and a
line is regular if it is a whole record by itself. What is irregular goes to `csv_assemble`, line by line.
About 400 MB/s on one core.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

LF, CR, BACKSLASH = 10, 13, 92
OTHER_QUOTES = frozenset({ord('"'), ord("'")})


@dataclass(frozen=True, slots=True)
class ScanRules:
    """The dialect in single bytes."""

    delimiter: int
    quote: int | None
    pieces: int
    trailing_delimiter: bool
    backslash: bool
    comment: bytes
    header: bytes = b""


@dataclass(frozen=True, slots=True)
class Units:
    """Begin and end (after its line end) of each unit of a block, whether it is regular, and its physical lines."""

    starts: pl.Series
    ends: pl.Series
    regular: pl.Series
    lines: pl.Series | None
    delimiters_in_quotes: bool


def as_series(data: bytes) -> pl.Series:
    """View bytes as a column of numbers, without a copy."""
    array = pa.Array.from_buffers(pa.uint8(), len(data), [None, pa.py_buffer(data)])
    series = pl.from_arrow(array)
    if not isinstance(series, pl.Series):
        raise TypeError
    return series


def line_ends(data: bytes, codes: pl.Series) -> pl.Series:
    """Return the position after each line end: LF, CRLF or a CR alone."""
    ends = (codes == LF).arg_true().cast(pl.Int64) + 1
    if b"\r" not in data or data.count(b"\r") == data.count(b"\r\n"):
        return ends
    after = (codes == CR).arg_true().cast(pl.Int64) + 1
    following = codes.gather(after.clip(upper_bound=len(data) - 1))
    alone = after.filter((following != LF) | (after == len(data)))
    return pl.concat([ends, alone]).sort()


def unremarkable(data: bytes, rules: ScanRules) -> bool:
    """Tell cheaply whether nothing in a block but the count of cells may be irregular: quotes, comments, backslashes.

    The count is then left to the reader, which refuses a record with another: three times as fast as `scan`.
    """
    if rules.pieces == 1 or (rules.backslash and b"\\" in data) or _odd_line(data, rules):
        return False
    if rules.header and rules.header in data:
        return False
    if rules.quote is None or bytes([rules.quote]) not in data:
        return True
    codes = as_series(data)
    quotes = (codes == rules.quote).arg_true().cast(pl.Int64)
    opening = pl.int_range(len(quotes), eager=True) % 2 == 0
    return len(quotes) % 2 == 0 and not _misplaced(codes, quotes, opening, rules).any()


def _odd_line(data: bytes, rules: ScanRules) -> bool:
    """Tell whether a line is blank (Arrow takes it for a record) or begins with a comment or another quote."""
    marks = [*rules.comment[:1], *(OTHER_QUOTES - {rules.quote})]
    if data[0] in {LF, CR, *marks}:
        return True
    codes = as_series(data)
    before, code = codes.slice(0, len(data) - 1), codes.slice(1)
    odd = (code == CR) | (code == LF) & (before != CR)
    for mark in marks:
        odd |= code == mark
    return bool((odd & ((before == LF) | (before == CR))).any())


def count_lines(data: bytes) -> int:
    """Count physical lines; text after the last line end is one."""
    if b"\r" in data and data.count(b"\r") != data.count(b"\r\n"):
        ends = line_ends(data, as_series(data))
        return len(ends) + (int(ends[-1]) != len(data) if len(ends) else 1)
    return int((as_series(data) == LF).sum()) + (not data.endswith(b"\n"))


def scan(data: bytes, rules: ScanRules) -> Units:
    """Cut a block that ends at a line's end (or the file's) into units."""
    shown = data.replace(b'\\"', b'""') if rules.backslash and rules.quote == ord('"') else data
    if rules.backslash and rules.quote is not None and rules.quote != ord('"'):
        quote = bytes([rules.quote])
        shown = data.replace(b"\\" + quote, quote * 2)
    codes = as_series(shown)
    ends = line_ends(data, codes)
    if not data.endswith((b"\n", b"\r")):
        ends = pl.concat([ends, pl.Series([len(data)], dtype=pl.Int64)])
    delimiters = (codes == rules.delimiter).arg_true().cast(pl.Int64)
    quoted = rules.quote is not None and bytes([rules.quote]) in shown
    units = _quoted(codes, ends, delimiters, rules) if quoted else _plain(ends, delimiters, rules)
    return _excluded(data, codes, units, rules)


def _starts(ends: pl.Series) -> pl.Series:
    return ends.shift(1, fill_value=0)


def _between(positions: pl.Series, ends: pl.Series) -> pl.Series:
    """Count the positions between each end and the one before."""
    upto = positions.search_sorted(ends, side="left").cast(pl.Int64)
    return upto - upto.shift(1, fill_value=0)


def _plain(ends: pl.Series, delimiters: pl.Series, rules: ScanRules) -> Units:
    regular = _between(delimiters, ends) == rules.pieces - 1
    return Units(_starts(ends), ends, regular, None, delimiters_in_quotes=False)


def _quoted(codes: pl.Series, ends: pl.Series, delimiters: pl.Series, rules: ScanRules) -> Units:
    quotes = (codes == rules.quote).arg_true().cast(pl.Int64)
    opening = pl.int_range(len(quotes), eager=True) % 2 == 0
    if len(quotes) % 2 == 0 and not _misplaced(codes, quotes, opening, rules).any():
        upto = quotes.search_sorted(ends, side="left")
        whole = ends.filter(upto % 2 == 0)
        lines = ends.search_sorted(whole, side="right").cast(pl.Int64)
        units = _counted(whole, quotes, opening, delimiters, rules, lines=lines - lines.shift(1, fill_value=0))
        if ((units.lines == 1) | units.regular).all():
            return units
    return _linewise(codes, ends, quotes, delimiters, rules)


def _linewise(codes: pl.Series, ends: pl.Series, quotes: pl.Series, delimiters: pl.Series, rules: ScanRules) -> Units:
    """Take each line for itself: whether a quote opens or closes is counted from the line's beginning."""
    line = ends.search_sorted(quotes, side="right")
    before = quotes.search_sorted(_starts(ends), side="left").cast(pl.Int64)
    opening = (pl.int_range(len(quotes), eager=True) - before.gather(line)) % 2 == 0
    bad = _misplaced(codes, quotes, opening, rules)
    units = _counted(ends, quotes, opening, delimiters, rules)
    broken = pl.Series(values=[False]).new_from_index(0, len(ends)).scatter(line.filter(bad).unique(), values=True)
    odd = _between(quotes, ends) % 2 == 1
    regular = units.regular & ~broken & ~odd
    return Units(units.starts, units.ends, regular, None, units.delimiters_in_quotes)


def _misplaced(codes: pl.Series, quotes: pl.Series, opening: pl.Series, rules: ScanRules) -> pl.Series:
    """Tell of each quote whether it stands where none may: inside a cell, single and unescaped."""
    last = len(codes) - 1
    before = codes.gather((quotes - 1).clip(lower_bound=0))
    after = codes.gather((quotes + 1).clip(upper_bound=last))
    opens = _edge(before, rules) | (before == rules.quote) & _follows(quotes) | (quotes == 0)
    closes = _edge(after, rules) | (after == rules.quote) | (quotes == last)
    return ~((opening & opens) | (~opening & closes))


def _edge(codes: pl.Series, rules: ScanRules) -> pl.Series:
    """Tell of each byte whether it stands between cells; comparisons, for `is_in` is ten times slower."""
    return (codes == rules.delimiter) | (codes == LF) | (codes == CR)


def _follows(quotes: pl.Series) -> pl.Series:
    """Tell of each quote whether it comes right after another."""
    return (quotes - quotes.shift(1, fill_value=-2)) == 1


def _counted(
    ends: pl.Series,
    quotes: pl.Series,
    opening: pl.Series,
    delimiters: pl.Series,
    rules: ScanRules,
    *,
    lines: pl.Series | None = None,
) -> Units:
    """Count the delimiters of each unit that stand outside quotes."""
    at = delimiters.search_sorted(quotes, side="left").cast(pl.Int64)
    signed = pl.select(pl.when(opening).then(-at).otherwise(at)).to_series()
    inside = pl.concat([pl.Series([0], dtype=pl.Int64), signed.cum_sum()])
    upto = inside.gather(quotes.search_sorted(ends, side="left"))
    within = upto - upto.shift(1, fill_value=0)
    regular = (_between(delimiters, ends) - within) == rules.pieces - 1
    return Units(_starts(ends), ends, regular, lines, bool((within != 0).any()))


def _excluded(data: bytes, codes: pl.Series, units: Units, rules: ScanRules) -> Units:
    """Exclude from the regular what needs a closer look: comments, blank lines, odd backslashes, a cell too many."""
    regular = units.regular
    if rules.comment and rules.comment in data:
        regular &= codes.gather(units.starts) != rules.comment[0]
    if rules.header and rules.header in data:
        regular &= ~units.starts.is_in(pl.Series(_found(data, rules.header), dtype=units.starts.dtype).implode())
    for other in OTHER_QUOTES - {rules.quote}:
        if bytes([other]) in data:
            regular &= codes.gather(units.starts) != other
    if rules.pieces == 1:
        regular &= ~codes.gather(units.starts).is_in([LF, CR, 0, 9, 32])
    if rules.trailing_delimiter:
        content = units.ends - 1
        for end in (LF, CR):
            at_end = codes.gather(content.clip(lower_bound=0)) == end
            content = pl.select(pl.when(at_end).then(content - 1).otherwise(content)).to_series()
        regular &= codes.gather(content.clip(lower_bound=0)) == rules.delimiter
    if rules.backslash and b"\\" in data:
        regular &= _between(_double_meaning(data, rules), units.ends) == 0
    return Units(units.starts, units.ends, regular, units.lines, units.delimiters_in_quotes)


def _found(data: bytes, text: bytes) -> list[int]:
    """Return all positions of a text."""
    return [found.start() for found in re.finditer(re.escape(text), data)]


def _double_meaning(data: bytes, rules: ScanRules) -> pl.Series:
    """Return the positions of backslashes that stand before a backslash or a delimiter."""
    codes = as_series(data)
    slashes = (codes == BACKSLASH).arg_true().cast(pl.Int64)
    after = codes.gather((slashes + 1).clip(upper_bound=len(data) - 1))
    return slashes.filter(after.is_in([BACKSLASH, rules.delimiter]))
