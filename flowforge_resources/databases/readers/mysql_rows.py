"""Rows of MySQL's text protocol as frames of text: packets are taken off the socket in large pieces and cut by NumPy.

The protocol is the text that bronze wants: a row is a packet (three bytes of length, one of sequence), a value its length
and its bytes. A driver that makes Python objects of each value takes ten times the CPU. Here Python sees a row once, to
find where the next begins; values become Arrow's views of the very bytes that were received, a column at a time.

Belongs here: from the end of a result's header to its last row. Does not: what is asked, in which session (`mysql`).
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import polars as pl
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]

_PIECE_BYTES, _RECEIVE_BYTES = 2 << 20, 256 << 10
_HEADER = Struct("<I")
_HEADER_BYTES, _LENGTH_BITS, _LARGEST_PACKET = 4, 0xFFFFFF, 0xFFFFFF
_ERROR, _END, _END_BYTES = 0xFF, 0xFE, 9
_NULL, _TWO_BYTES, _THREE_BYTES, _EIGHT_BYTES = 251, 252, 253, 254
_VIEW_BYTES, _INLINE_BYTES = 16, 12
# Which bits of a view's twelve bytes of text a text of that length fills.
_FILLED = np.array([[255] * size + [0] * (_INLINE_BYTES - size) for size in range(_INLINE_BYTES + 1)], np.uint8).view(
    np.uint32
)
_LOST = 2013


def frames(session: Any, names: Sequence[str], *, binary: Sequence[bool]) -> Iterator[pl.DataFrame]:
    """The rows of the result whose header a session has just read; bytes as base64.

    Args:
        session: a connection of PyMySQL.
        names: of the columns.
        binary: which columns hold bytes.

    Raises:
        pymysql.err.OperationalError: the connection is lost.
        pymysql.err.MySQLError: the server broke off.
    """
    for piece in _pieces(session):
        yield pl.DataFrame([_series(*one) for one in zip(names, _columns(piece, len(names)), binary, strict=True)])


@dataclass(frozen=True)
class _Piece:
    """Received bytes, and where the payload of each whole row begins in them. `buffer` goes on behind the last row."""

    buffer: NDArray[np.uint8]
    rows: Numbers


def _pieces(session: Any) -> Iterator[_Piece]:
    """Pieces of whole rows until the server says that there are no more."""
    source, left = session._rfile, b""  # noqa: SLF001  # PyMySQL's own methods read packet by packet
    while True:
        buffer, filled = _buffer(left), len(left)
        at, ended = 0, False
        rows: list[int] = []
        while not ended:
            at, ended = _walk(session, buffer, at, filled, rows)
            if ended or filled == len(buffer) - _VIEW_BYTES:
                break
            filled += _receive(session, source, memoryview(buffer)[filled : len(buffer) - _VIEW_BYTES])
        if rows:
            yield _Piece(np.frombuffer(buffer, np.uint8), np.array(rows, np.int64))
        if ended:
            return
        left = bytes(memoryview(buffer)[at:filled])
        if not rows and _length(left) == _LARGEST_PACKET:
            row, left = _large_row(session, source, left)
            yield _Piece(np.frombuffer(row, np.uint8), np.zeros(1, np.int64))


def _buffer(left: bytes) -> bytearray:
    """Room for what is left of a packet and the rest of it, and for a view behind its last byte."""
    whole = _length(left) + _HEADER_BYTES if len(left) >= _HEADER_BYTES else 0
    size = _PIECE_BYTES if whole >= _LARGEST_PACKET else max(_PIECE_BYTES, whole)
    buffer = bytearray(max(size, len(left) + 1) + _VIEW_BYTES)
    buffer[: len(left)] = left
    return buffer


def _length(header: bytes) -> int:
    return _HEADER.unpack_from(header)[0] & _LENGTH_BITS if len(header) >= _HEADER_BYTES else 0


def _walk(session: Any, buffer: bytearray, at: int, filled: int, rows: list[int]) -> tuple[int, bool]:
    """Note the whole rows from a place on; return where the first that is not whole begins, and whether there is none."""
    unpack, note = _HEADER.unpack_from, rows.append
    while at + _HEADER_BYTES <= filled:
        size = unpack(buffer, at)[0] & _LENGTH_BITS
        begin = at + _HEADER_BYTES
        if begin + size > filled or size == _LARGEST_PACKET:
            break
        first = buffer[begin]
        if first == _ERROR:
            _refused(session, bytes(buffer[begin : begin + size]))
        if first == _END and size < _END_BYTES:
            session._result.unbuffered_active = False  # noqa: SLF001  # the answer is read to its end
            return at, True
        note(begin)
        at = begin + size
    return at, False


def _receive(session: Any, source: Any, into: memoryview) -> int:
    """Take what is there; `readinto1` would wait for more, where the file of the socket holds something already."""
    try:
        received = source.read1(min(len(into), _RECEIVE_BYTES))
    except OSError as error:
        _lost(session, str(error))
    if not received:
        _lost(session, "it was closed")
    into[: len(received)] = received
    return len(received)


def _lost(session: Any, why: str) -> NoReturn:
    from pymysql.err import OperationalError

    session._result.unbuffered_active = False  # noqa: SLF001  # nothing more will come of it
    raise OperationalError(_LOST, f"Lost connection to MySQL server during query ({why})")


def _refused(session: Any, packet: bytes) -> NoReturn:
    from pymysql.err import raise_mysql_exception

    session._result.unbuffered_active = False  # noqa: SLF001  # an error ends the answer
    raise_mysql_exception(packet)
    raise AssertionError("an error packet raises")


def _large_row(session: Any, source: Any, left: bytes) -> tuple[bytearray, bytes]:
    """A row of 16 MB or more, which comes in several packets; and what was received behind it."""
    row, at = bytearray(), bytearray(left)
    size = _LARGEST_PACKET
    while size == _LARGEST_PACKET:
        _fill(session, source, at, _HEADER_BYTES)
        size = _length(bytes(at[:_HEADER_BYTES]))
        _fill(session, source, at, _HEADER_BYTES + size)
        row += memoryview(at)[_HEADER_BYTES : _HEADER_BYTES + size]
        at = at[_HEADER_BYTES + size :]
    row += bytes(_VIEW_BYTES)
    return row, bytes(at)


def _fill(session: Any, source: Any, into: bytearray, size: int) -> None:
    """Receive until there are that many bytes."""
    if missing := size - len(into):
        if missing < 0:
            return
        rest, at = memoryview(bytearray(missing)), 0
        while at < missing:
            at += _receive(session, source, rest[at:])
        into += rest


def _columns(piece: _Piece, count: int) -> Iterator[pa.Array]:
    """The values of each column, as views of the piece's bytes."""
    data, place = pa.py_buffer(piece.buffer), piece.rows
    for _ in range(count):
        start, size, null = _bounds(piece.buffer, place)
        place = start + size
        valid = pa.py_buffer(np.packbits(~null, bitorder="little")) if null is not None else None
        views = pa.py_buffer(_views(piece.buffer, start, size))
        yield pa.Array.from_buffers(pa.binary_view(), len(start), [valid, views, data])


def _bounds(buffer: NDArray[np.uint8], place: Numbers) -> tuple[Numbers, Numbers, NDArray[np.bool_] | None]:
    """Where the values at some places begin, how long they are, and which are null (None: none is)."""
    first = buffer[place]
    start, size = place + 1, first.astype(np.int64)
    if first.max() < _NULL:
        return start, size, None
    null = first == _NULL
    size[null] = 0
    for code, width in ((_TWO_BYTES, 2), (_THREE_BYTES, 3), (_EIGHT_BYTES, 8)):
        (which,) = np.nonzero(first == code)
        if len(which):
            size[which] = sum(buffer[place[which] + 1 + byte].astype(np.int64) << (8 * byte) for byte in range(width))
            start[which] += width
    return start, size, null if null.any() else None


def _views(buffer: NDArray[np.uint8], start: Numbers, size: Numbers) -> NDArray[np.uint32]:
    """Arrow's views: length, then a short value itself, or a long one's first four bytes, its buffer (0) and its place."""
    every = np.ndarray((len(buffer) - _VIEW_BYTES + 1,), f"V{_VIEW_BYTES}", buffer, strides=(1,))
    # From four bytes before a value: the room that its length takes.
    views = every[np.minimum(start - 4, len(every) - 1)].view(np.uint32).reshape(-1, 4)
    views[:, 1:] &= _FILLED[np.minimum(size, _INLINE_BYTES)]
    views[:, 0] = size
    (long,) = np.nonzero(size > _INLINE_BYTES)
    views[long, 2] = 0
    views[long, 3] = start[long]
    return views


def _series(name: str, values: pa.Array, is_binary: bool) -> pl.Series:
    found = pl.Series(name, values)
    if is_binary:
        return found.bin.encode("base64")
    try:
        return found.cast(pl.String)
    except pl.exceptions.PolarsError:
        # Bytes that are no UTF-8, in a column that says it is: kept readable, and recognisable.
        return found.map_elements(lambda value: value.decode(errors="backslashreplace"), return_dtype=pl.String)
