"""The proof that Polars reads a CSV file rightly: every byte is looked at, vectorised.

Belongs here: what is proven, and how. Does not: when (`csv_fast`), and how the file is then read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from flowforge_assets.formats import csv_bits as bits
from flowforge_assets.formats.csv_scan import BYTE_ORDER_MARK, CR, LF, OTHER_QUOTES, misplaced
from flowforge_resources.content_hash import ContentHash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flowforge_assets.formats.csv_options import CsvDialect
    from flowforge_assets.formats.csv_source import Source

# 384 KB and what is made of them stay in a core's second cache of 1 MB; smaller ones make more of Python's overhead.
CHUNK_BYTES, SAMPLE_BYTES, LONGEST_LINE = 384 << 10, 64 << 10, 8 << 20
# Where at most one byte in so many stands inside quotes, these bytes are looked at by themselves.
MOST_INSIDE = 8
# The blanks that DuckDB trims and are none of ASCII's: U+00A0, 1680, 205F, 3000; 2000 to 200A and 202F, which begin as
# dashes and curly quotes do.
OTHER_BLANKS = (b"\xc2\xa0", b"\xe1\x9a\x80", b"\xe2\x81\x9f", b"\xe3\x80\x80")
LIKE_DASHES, BLANK_LIKE_DASHES = b"\xe2\x80", re.compile(rb"\xe2\x80[\x80-\x8a\xaf]")


@dataclass(frozen=True, slots=True)
class Proof:
    """What a clean file holds, counted in its bytes: physical lines, and records (the header is one); and their hash.

    `ascii_blanks`: no blank stands in it but ASCII's.
    """

    lines: int
    records: int
    quoted: bool
    ascii_blanks: bool
    content_hash: str


def never() -> bool:
    """No wish to stop."""
    return False


def prove(
    source: Source, dialect: CsvDialect, *, upto: int | None = None, stop: Callable[[], bool] = never
) -> Proof | None:
    """Prove that a fast reader gives the rows the robust one would; None if something needs a second thought.

    Each quote stands at a cell's begin or end or is doubled; outside quotes the delimiters are as many as the lines so
    far need in total, and Polars refuses a line with too many: so each line has its own. 0.35 ns a byte, 0.7 with quotes.

    Args:
        source: the file.
        dialect: how it is written.
        upto: look at the first blocks alone, with so many bytes; what is returned is then of those.
        stop: asked before each block; None is then returned, which says nothing.
    """
    if isinstance(source.where, bytes) or not source.size or not _plain(dialect):
        return None
    seen = _Seen(dialect)
    seen.hash.update(source.range(0, dialect.bom_bytes))
    size = 0
    for block in _whole_lines(source, dialect.bom_bytes):
        if block is None or stop() or not seen.add(block):
            return None
        size += len(block)
        if upto is not None and size >= upto:
            break
    else:
        if seen.inside:
            return None
    return None if source.redecoded else seen.proof()


def _whole_lines(source: Source, start: int) -> Iterator[bytes | None]:
    """Yield the file in blocks that end in a line's end; None if a line is too long to wait for."""
    rest = b""
    for piece in source.utf8_blocks("utf-8", start, source.size, CHUNK_BYTES):
        cut = piece.rfind(b"\n") + 1
        if cut:
            yield b"".join((rest, memoryview(piece)[:cut]))
        rest = piece[cut:] if cut else rest + piece
        if len(rest) > LONGEST_LINE:
            yield None
    if rest:
        yield rest


@dataclass(slots=True)
class _Seen:
    """What the blocks so far hold, and whether the next begins inside quotes."""

    dialect: CsvDialect
    inside: int = 0
    delimiters: int = 0
    lines: int = 0
    records: int = 0
    begun: bool = False
    quoted: bool = False
    dense: bool = False
    ascii_blanks: bool = True
    rare: bytes = b""
    hash: ContentHash = field(default_factory=ContentHash)
    flags: bits.Flags = field(default_factory=lambda: np.empty(CHUNK_BYTES, dtype=np.bool_))

    def add(self, block: bytes) -> bool:
        """Count a block of whole lines; False if anything in it is odd."""
        self.hash.update(block)
        begun, self.begun = self.begun, True
        if not begun and len(block) > CHUNK_BYTES // 2:
            self.rare = _rarest(self.dialect.header_text.encode(), block)
        codes = bits.codes_of(block)
        if BYTE_ORDER_MARK[:1] in block and BYTE_ORDER_MARK in block:
            return False  # files joined end to end: a header after it is not at a line's begin
        if self.ascii_blanks and not block.isascii():
            self.ascii_blanks = not _has_other_blank(block)
        known = begun and (self.rare or not self.dialect.header_text)
        plain = known and self.dialect.terminator == "lf" and not any(mark in block for mark in self._marks())
        regular = (plain and self._counted_plain(block, codes)) or self._count(block, codes, begun=begun)
        return regular and (bool(self.inside) or self.delimiters == self.records * (self.dialect.width - 1))

    def _marks(self) -> list[bytes]:
        """Bytes of which none stands in a plain block: it has then no header and no other quotes, and ends lines by LF."""
        others = OTHER_QUOTES - {ord(self.dialect.quote or "\0")}
        return [b"\r", *([self.rare] if self.rare else []), *(bytes([one]) for one in others)]

    def _counted_plain(self, block: bytes, codes: bits.Codes) -> bool:
        """Count a plain block by its bytes less those inside quotes; False, and nothing counted, if it takes a closer look."""
        delimiter, within = ord(self.dialect.delimiter), codes[:0]
        if self.dialect.quote and (self.inside or self.dialect.quote.encode() in block):
            if self.dense:
                return False
            quote = ord(self.dialect.quote)
            places = np.flatnonzero(self._are(codes, quote))
            few = _inside_few(codes, places, self.inside, edges=(delimiter, LF, quote))
            if few is None:
                self.dense = True
                return False
            self.quoted, self.inside, within = True, (self.inside + len(places)) % 2, few
        lines = self._times(codes, LF) + (not block.endswith(b"\n"))
        self.lines += lines
        self.records += lines - int(np.count_nonzero(within == LF))
        self.delimiters += self._times(codes, delimiter) - int(np.count_nonzero(within == delimiter))
        return True

    def _times(self, codes: bits.Codes, code: int) -> int:
        """How often a byte stands in a block."""
        return int(np.count_nonzero(self._are(codes, code)))

    def _are(self, codes: bits.Codes, code: int) -> bits.Flags:
        """Of each byte, whether it is this one; until asked again, in one buffer: a new one costs more than the answer."""
        if len(codes) > len(self.flags):
            self.flags = np.empty(2 * len(codes), dtype=np.bool_)
        return np.equal(codes, code, out=self.flags[: len(codes)])

    def _count(self, block: bytes, codes: bits.Codes, *, begun: bool) -> bool:
        lines = bits.where(codes, LF)
        delimiters = bits.where(codes, ord(self.dialect.delimiter))
        if self._odd_beginning(block, codes, lines, begun=begun):
            return False
        unended = not block.endswith(b"\n")
        self.lines += bits.count(lines) + unended
        returns = bits.where(codes, CR) if b"\r" in block else None
        if self.dialect.quote and (self.inside or self.dialect.quote.encode() in block):
            self.quoted = True
            edges = delimiters | lines if returns is None else delimiters | lines | returns
            outside = self._outside(codes, edges)
            if outside is None:
                return False
            lines, delimiters = lines & outside, delimiters & outside
            returns = None if returns is None else returns & outside
        self.delimiters += bits.count(delimiters)
        self.records += bits.count(lines) + unended
        return self._ended_alike(lines, returns)

    def _outside(self, codes: bits.Codes, edges: bits.Words) -> bits.Words | None:
        """Tell which bytes stand outside quotes; None if a quote stands where none may."""
        quotes = bits.where(codes, ord(self.dialect.quote))
        inside = bits.parity(quotes, self.inside)
        if misplaced(quotes, inside, edges, len(codes)).any():
            return None
        self.inside = int(inside[-1] >> np.uint64(63))
        return ~inside

    def _ended_alike(self, lines: bits.Words, returns: bits.Words | None) -> bool:
        """Tell whether all records end as the dialect says (the last line may have no end)."""
        if self.dialect.terminator == "lf":
            return returns is None or not returns.any()
        before = bits.earlier(lines)
        return not before.any() if returns is None else bool((before == returns).all())

    def _odd_beginning(self, block: bytes, codes: bits.Codes, lines: bits.Words, *, begun: bool) -> bool:
        """Tell whether a line begins with a quote of the other kind, or is the header once more."""
        others = [one for one in OTHER_QUOTES if one != ord(self.dialect.quote or "\0") and bytes([one]) in block]
        header = self.dialect.header_text.encode()
        again = bool(header) and (not begun or self.rare in block)
        if not others and not again:
            return False
        starts = bits.later(lines, 1)
        if any((bits.where(codes, other) & starts).any() for other in others):
            return True
        return again and self._header_again(header, block, codes, starts, begun=begun)

    def _header_again(self, header: bytes, block: bytes, codes: bits.Codes, starts: bits.Words, *, begun: bool) -> bool:
        """Tell whether a line is the header, besides the first."""
        if len(block) < len(header):
            return False
        at = bits.places(bits.where(codes, header[0]) & starts)
        for place in range(1, len(header)):
            at = at[codes[(at + place).clip(max=len(block) - 1)] == header[place]]
            if len(at) <= (0 if begun else 1):
                return False
        return True

    def proof(self) -> Proof:
        """What the blocks so far hold."""
        return Proof(self.lines, self.records, self.quoted, self.ascii_blanks, self.hash.text)


def _inside_few(codes: bits.Codes, quotes: bits.Places, inside: int, edges: tuple[int, ...]) -> bits.Codes | None:
    """The bytes inside the quotes of a block; None if they are many, or if a quote is misplaced, as `misplaced` has it.

    `edges`: what may stand before an opening and after a closing quote.
    """
    opening, closing = quotes[inside::2], quotes[1 - inside :: 2]
    beside = np.concatenate((opening[opening > 0] - 1, closing[closing < len(codes) - 1] + 1))
    is_edge = np.zeros(256, dtype=np.bool_)
    is_edge[list(edges)] = True
    if not is_edge[codes[beside]].all():
        return None
    starts = np.concatenate((np.zeros(inside, dtype=np.int64), opening + 1))
    ends = np.concatenate((closing, [len(codes)]))[: len(starts)]
    sizes = ends - starts
    upto = np.cumsum(sizes)
    if upto[-1] > len(codes) // MOST_INSIDE:
        return None
    within: bits.Codes = codes[np.arange(upto[-1]) + np.repeat(starts - (upto - sizes), sizes)]
    return within


def _has_other_blank(block: bytes) -> bool:
    """Tell whether a blank that is none of ASCII's stands in a block of UTF-8."""
    if any(blank in block for blank in OTHER_BLANKS):
        return True
    return LIKE_DASHES in block and BLANK_LIKE_DASHES.search(block) is not None


def _rarest(header: bytes, block: bytes) -> bytes:
    """The byte of a header that stands least often in the sample of a block: where it is missing, so is the header."""
    often = np.bincount(bits.codes_of(block[:SAMPLE_BYTES]), minlength=256)
    return min((bytes([code]) for code in set(header)), key=lambda one: (often[one[0]], one), default=b"")


def _plain(dialect: CsvDialect) -> bool:
    """Tell whether the dialect is one that Polars knows."""
    return (
        dialect.encoding == "utf-8"
        and len(dialect.delimiter.encode()) == 1
        and dialect.quote in {'"', ""}
        and dialect.escape == "double"
        and dialect.terminator in {"lf", "crlf"}
        and dialect.leading in {(), ("header",)}
        and not (dialect.quote and dialect.first_line.count(dialect.quote) % 2)
        and not (dialect.footer_lines or dialect.comment or dialect.trailing or dialect.header_again)
        and dialect.width > 1
    )
