"""A file's bytes as a sample for detection and as a stream of UTF-8 blocks for reading.

Every block ends at a line's end (the last may not). Text in another encoding is decoded here and nowhere else; a byte
that is not valid in the file's encoding is read as Windows-1252, so that nothing is replaced or lost, and counted.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from flowforge_assets.formats.legacy_encoding import legacy_encoding

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK_BYTES = 4 << 20
_BOMS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_BYTEWISE = "flowforge_bytewise"
FEW_NARROW = 0.1
_BEGUN_BY_FEED = re.compile(r"[\u0a01-\u0aff]")
_CONTROLS = re.compile(r"[\x00\x03-\x08\x0e-\x1a\ufffe\uffff]")
LINE_END = re.compile(r"\r\n|\n|\r")


def _bytewise(error: UnicodeError) -> tuple[str, int]:
    """Read the bytes a codec refuses one by one as Windows-1252, or Latin-1 where that has no character."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    bad = error.object[error.start : error.end]
    return "".join(_single(bad[i : i + 1]) for i in range(len(bad))), error.end


def _single(byte: bytes) -> str:
    try:
        return byte.decode("cp1252")
    except UnicodeDecodeError:
        return byte.decode("latin-1")


codecs.register_error(_BYTEWISE, _bytewise)


def decode(data: bytes, encoding: str) -> str:
    """Decode without ever failing or replacing."""
    return data.decode(encoding, errors=_BYTEWISE)


def sniff_encoding(head: bytes, *, whole: bool) -> tuple[str, int]:
    """Return encoding and length of the byte order mark, by a look at the first bytes."""
    for bom, name in _BOMS:
        if head.startswith(bom):
            return name, len(bom) * (2 if head.startswith(bom * 2) else 1)  # some programs add another
    wide = _wide_encoding(head)
    if wide:
        return wide, 0
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(head, final=whole)
    except UnicodeDecodeError:
        return ("utf-8" if _mostly_utf8(head) else legacy_encoding(head)), 0
    return "utf-8", 0


def _wide_encoding(head: bytes) -> str | None:
    """Recognise UTF-16 without a mark: of Latin text every other byte is NUL, of any other those of line ends and digits."""
    if len(head) < 4 or b"\x00" not in head:  # noqa: PLR2004
        return None
    even, odd = head[0::2], head[1::2]
    even_nul, odd_nul = even.count(0) / len(even), odd.count(0) / len(odd)
    for name, nul, other in (("utf-16-le", odd_nul, even_nul), ("utf-16-be", even_nul, odd_nul)):
        if (nul > 0.6 and other < 0.1) or (nul > 10 * other and _ends_lines_wide(head, name)):  # noqa: PLR2004
            return name
    return None


def _ends_lines_wide(head: bytes, encoding: str) -> bool:
    """Tell whether a text's line ends are two bytes wide: of one byte, half of them would begin a character 0x0Axx."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return False
    return len(_BEGUN_BY_FEED.findall(text)) < FEW_NARROW * text.count("\n") and not _CONTROLS.search(text)


def _mostly_utf8(head: bytes) -> bool:
    """Tell UTF-8 with some broken bytes from a single-byte encoding: whole sequences outnumber the broken."""
    text = head.decode("utf-8", errors="replace")
    broken = text.count("\ufffd")
    return sum(1 for char in text if ord(char) > 127) - broken > broken  # noqa: PLR2004


@dataclass(slots=True)
class Source:
    """A path or bytes, read by range; `redecoded` counts blocks that held bytes invalid in the encoding."""

    where: Path | bytes
    size: int = 0
    redecoded: int = field(default=0)

    def __post_init__(self) -> None:
        self.size = len(self.where) if isinstance(self.where, bytes) else self.where.stat().st_size

    @classmethod
    def of(cls, path_or_bytes: str | Path | bytes) -> Source:
        """Wrap a path or the content itself."""
        return cls(Path(path_or_bytes) if isinstance(path_or_bytes, str) else path_or_bytes)

    def range(self, start: int, stop: int) -> bytes:
        """Return the bytes from start to before stop."""
        if isinstance(self.where, bytes):
            return self.where[start:stop]
        with self.where.open("rb") as file:
            file.seek(start)
            return file.read(max(stop - start, 0))

    def raw_blocks(self, start: int, stop: int, size: int = BLOCK_BYTES) -> Iterator[bytes]:
        """Yield the bytes from start to before stop piece by piece."""
        if isinstance(self.where, bytes):
            for position in range(start, stop, size):
                yield self.where[position : min(position + size, stop)]
            return
        with self.where.open("rb") as file:
            file.seek(start)
            while start < stop and (piece := file.read(min(size, stop - start))):
                start += len(piece)
                yield piece

    def utf8_blocks(self, encoding: str, start: int, stop: int, size: int = BLOCK_BYTES) -> Iterator[bytes]:
        """Yield the text as UTF-8, piece by piece, never ending inside a character."""
        if encoding == "utf-8":
            yield from self._valid_utf8(start, stop, size)
            return
        decoder = codecs.getincrementaldecoder(encoding)(errors=_BYTEWISE)
        for piece in self.raw_blocks(start, stop, size):
            yield decoder.decode(piece).encode("utf-8", errors="surrogatepass")
        yield decoder.decode(b"", final=True).encode("utf-8", errors="surrogatepass")

    def _valid_utf8(self, start: int, stop: int, size: int) -> Iterator[bytes]:
        """Pass ASCII and valid UTF-8 through untouched (checking costs 1 % of reading), mend the rest."""
        carry = b""
        for piece in self.raw_blocks(start, stop, size):
            block = carry + piece if carry else piece
            if block.isascii():
                carry = b""
                yield block
                continue
            cut = len(block) - _unfinished(block)
            block, carry = block[:cut], block[cut:]
            yield self._mended(block)
        if carry:
            yield self._mended(carry)

    def _mended(self, block: bytes) -> bytes:
        try:
            block.decode("utf-8")
        except UnicodeDecodeError:
            self.redecoded += 1
            return decode(block, "utf-8").encode("utf-8")
        return block


def _unfinished(block: bytes) -> int:
    """Return how many bytes at the end begin a character that is not finished."""
    for back in range(1, min(4, len(block)) + 1):
        byte = block[-back]
        if byte >= 0xC0:  # noqa: PLR2004 -- a lead byte: how long a sequence does it announce?
            need = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4  # noqa: PLR2004
            return back if back < need else 0
        if byte < 0x80:  # noqa: PLR2004
            return 0
    return 0


def split_lines(text: str) -> list[str]:
    """Split text into physical lines without their ends; an end at the very end starts no further line."""
    lines = LINE_END.split(text)
    return lines[:-1] if lines and not lines[-1] else lines
