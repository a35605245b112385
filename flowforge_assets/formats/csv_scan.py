"""Where the records of a block of bytes begin and end, and which are regular: vectorised, no cell is looked at.

A block whose quotes all stand where quotes may stand is cut into records; another is cut into physical lines, and a
line is regular if it is a whole record by itself. What is irregular goes to `csv_assemble`, line by line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from flowforge_assets.formats import csv_bits as bits

LF, CR, BACKSLASH = 10, 13, 92
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
OTHER_QUOTES = frozenset({ord('"'), ord("'")})


@dataclass(frozen=True, slots=True)
class ScanRules:
    """The dialect in single bytes."""

    delimiter: int
    quote: int | None
    pieces: int
    trailing: int
    backslash: bool
    comment: bytes
    header: bytes = b""


@dataclass(frozen=True, slots=True)
class Units:
    """Begin and end (after its line end) of each unit of a block, whether it is regular, and its physical lines."""

    starts: bits.Places
    ends: bits.Places
    regular: bits.Flags
    lines: bits.Places | None
    delimiters_in_quotes: bool


@dataclass(frozen=True, slots=True)
class _Block:
    """Where quotes, delimiters, line ends and the edges of cells stand in a block."""

    size: int
    quotes: bits.Words
    delimiters: bits.Words
    edges: bits.Words
    ends: bits.Places


def line_ends(data: bytes) -> bits.Places:
    """Return the position after each line end: LF, CRLF or a CR alone."""
    return bits.places(_last_bytes(data)[0]) + 1


def _last_bytes(data: bytes) -> tuple[bits.Words, bits.Words]:
    """Return which bytes are the last of a line, and which are LF or CR at all."""
    codes = bits.codes_of(data)
    feeds = bits.where(codes, LF)
    if b"\r" not in data:
        return feeds, feeds
    returns = bits.where(codes, CR)
    return feeds | returns & ~bits.earlier(feeds), feeds | returns


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
    codes = bits.codes_of(data)
    quotes = bits.where(codes, rules.quote)
    edges = bits.where(codes, rules.delimiter) | _last_bytes(data)[1]
    inside = bits.parity(quotes)
    return bits.count(quotes) % 2 == 0 and not misplaced(quotes, inside, edges, len(data)).any()


def _odd_line(data: bytes, rules: ScanRules) -> bool:
    """Tell whether a line is blank (Arrow takes it for a record) or begins with a comment or another quote."""
    marks = {*rules.comment[:1], *(OTHER_QUOTES - {rules.quote})}
    if data[0] in {LF, CR, *marks}:
        return True
    codes = bits.codes_of(data)
    feeds = bits.where(codes, LF)
    returns = bits.where(codes, CR) if b"\r" in data else bits.none_like(feeds)
    starts = bits.later(feeds | returns, 1)
    odd = returns & starts | feeds & bits.later(feeds, 0)
    for mark in marks:
        if bytes([mark]) in data:
            odd |= bits.where(codes, mark) & starts
    return bool(odd.any())


def count_lines(data: bytes) -> int:
    """Count physical lines; text after the last line end is one."""
    return bits.count(_last_bytes(data)[0]) + (not data.endswith((b"\n", b"\r")))


def scan(data: bytes, rules: ScanRules) -> Units:
    """Cut a block that ends at a line's end (or the file's) into units."""
    shown = data.replace(b'\\"', b'""') if rules.backslash and rules.quote == ord('"') else data
    if rules.backslash and rules.quote is not None and rules.quote != ord('"'):
        quote = bytes([rules.quote])
        shown = data.replace(b"\\" + quote, quote * 2)
    codes = bits.codes_of(shown)
    last, feeds_or_returns = _last_bytes(data)
    ends = bits.places(last) + 1
    if not len(ends) or ends[-1] != len(data):
        ends = np.append(ends, len(data))
    delimiters = bits.where(codes, rules.delimiter)
    quotes = bits.none_like(delimiters) if rules.quote is None else bits.where(codes, rules.quote)
    block = _Block(len(data), quotes, delimiters, delimiters | feeds_or_returns, ends)
    units = _by_records(block, rules) or _by_lines(block, rules)
    return _excluded(data, codes, units, rules)


def _by_records(block: _Block, rules: ScanRules) -> Units | None:
    """Cut into records; None if a quote is out of place, or a record over several lines is not whole."""
    if not block.quotes.any():
        return _counted(block, block.ends, block.quotes, rules)
    inside = bits.parity(block.quotes)
    if bits.count(block.quotes) % 2 or misplaced(block.quotes, inside, block.edges, block.size).any():
        return None
    closed = bits.counts_before(block.quotes, block.ends) % 2 == 0
    upto = np.flatnonzero(closed) + 1
    lines = np.diff(upto, prepend=0)
    units = _counted(block, block.ends[closed], inside, rules, lines=lines)
    return units if bool(((lines == 1) | units.regular).all()) else None


def _by_lines(block: _Block, rules: ScanRules) -> Units:
    """Take each line for itself: whether a quote opens or closes is counted from the line's beginning."""
    quotes = np.diff(bits.counts_before(block.quotes, block.ends), prepend=0)
    odd = quotes % 2 == 1
    # A quote that is thought to stand on the end of each such line leaves the next to begin outside.
    inside = bits.parity(block.quotes ^ bits.marked(block.ends[:-1][odd[:-1]] - 1, block.quotes))
    bad = bits.places(misplaced(block.quotes, inside, block.edges, block.size))
    units = _counted(block, block.ends, inside, rules)
    regular = units.regular & ~odd
    regular[np.searchsorted(block.ends, bad, side="right")] = False
    return Units(units.starts, units.ends, regular, None, units.delimiters_in_quotes)


def misplaced(quotes: bits.Words, inside: bits.Words, edges: bits.Words, size: int) -> bits.Words:
    """Tell of each quote whether it stands where none may: inside a cell, single and unescaped.

    `inside` is the parity of quotes; `edges` are the bytes that stand between cells. Before and after the text is an edge.
    """
    either = edges | quotes
    after = bits.earlier(either)
    after[(size - 1) >> 6] |= np.uint64(1) << np.uint64((size - 1) & 63)
    return quotes & ~(inside & bits.later(either, 1) | ~inside & after)


def _counted(
    block: _Block, ends: bits.Places, inside: bits.Words, rules: ScanRules, *, lines: bits.Places | None = None
) -> Units:
    """Count the delimiters of each unit that stand outside quotes."""
    cells = np.diff(bits.counts_before(block.delimiters & ~inside, ends), prepend=0)
    starts = np.concatenate([np.zeros(1, dtype=np.int64), ends[:-1]])
    within = bool((block.delimiters & inside).any())
    return Units(starts, ends, cells == rules.pieces - 1, lines, within)


def _excluded(data: bytes, codes: bits.Codes, units: Units, rules: ScanRules) -> Units:
    """Exclude from the regular what needs a closer look: comments, blank lines, odd backslashes, a cell too many."""
    regular, first = units.regular, codes[units.starts]
    if rules.comment and rules.comment in data:
        regular &= first != rules.comment[0]
    if rules.header and rules.header in data:
        found = np.array(_found(data, rules.header))
        regular &= ~np.isin(units.starts, np.concatenate([found, found - len(BYTE_ORDER_MARK)]))
    for other in OTHER_QUOTES - {rules.quote}:
        if bytes([other]) in data:
            regular &= first != other
    if rules.pieces == 1:
        regular &= ~np.isin(first, [LF, CR, 0, 9, 32])
    if rules.trailing:
        content = units.ends - 1
        for end in (LF, CR):
            content = content - (codes[content.clip(min=0)] == end)
        for place in range(rules.trailing):
            regular &= codes[(content - place).clip(min=0)] == rules.delimiter
    if rules.backslash and b"\\" in data:
        regular &= np.diff(np.searchsorted(_double_meaning(data, rules), units.ends), prepend=0) == 0
    return Units(units.starts, units.ends, regular, units.lines, units.delimiters_in_quotes)


def _found(data: bytes, text: bytes) -> list[int]:
    """Return all positions of a text."""
    return [found.start() for found in re.finditer(re.escape(text), data)]


def _double_meaning(data: bytes, rules: ScanRules) -> bits.Places:
    """Return the positions of backslashes that stand before a backslash or a delimiter."""
    codes = bits.codes_of(data)
    slashes = bits.where(codes, BACKSLASH)
    return bits.places(slashes & bits.earlier(slashes | bits.where(codes, rules.delimiter)))
