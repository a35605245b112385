"""An answer's body, unpacked in pieces of bounded size: a few bytes of a packed body may be gigabytes.

A client's own decoders unpack whatever one piece holds at once, and one packing inside another.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PIECE_BYTES = 1 << 20
_BY_ITS_HEAD = 32 + zlib.MAX_WBITS  # gzip or zlib
_PLAIN, _PACKED = ("", "identity"), ("gzip", "x-gzip", "deflate")


class UnpackError(Exception):
    """A body is not packed as it says, or ends in the middle."""


def is_known(encoding: str) -> bool:
    """Whether a `Content-Encoding` is one that `unpacked` knows, and one only."""
    return encoding in _PLAIN or encoding in _PACKED


def unpacked(encoding: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes behind a `Content-Encoding` that is known.

    Raises:
        UnpackError: they are broken.
    """
    return _inflated(pieces) if encoding in _PACKED else iter(pieces)


def _inflated(pieces: Iterable[bytes]) -> Iterator[bytes]:
    member = zlib.decompressobj(_BY_ITS_HEAD)
    try:
        for piece in pieces:
            left = piece
            while left:
                if member.eof:  # one file behind the other
                    member = zlib.decompressobj(_BY_ITS_HEAD)
                yield member.decompress(left, _PIECE_BYTES)
                left = member.unconsumed_tail or member.unused_data
        yield member.flush()
    except zlib.error as error:
        raise UnpackError(str(error)) from None
    if not member.eof:
        raise UnpackError("it ends in the middle")
