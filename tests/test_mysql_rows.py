"""MySQL's rows as they come off a socket, whatever pieces they come in; and snapshots of several connections."""

from __future__ import annotations

from io import BytesIO
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import polars as pl
import pymysql
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowforge_resources.databases.readers import mysql, mysql_rows
from flowforge_resources.databases.reading import reading
from sources import PASSWORD
from test_source_types import connection_to

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sources import Server

END = b"\x05\x00\x00\x09\xfe\x00\x00\x02\x00"
LARGEST = 0xFFFFFF


def session_that_receives(stream: bytes, at_once: int) -> Any:
    """A session of PyMySQL behind the header of an answer."""
    source = BytesIO(stream)
    rfile = SimpleNamespace(read1=lambda size: source.read(min(size, at_once)))
    return SimpleNamespace(_rfile=rfile, _result=SimpleNamespace(unbuffered_active=True))


def packet(payload: bytes) -> bytes:
    """A payload as the server sends it: in parts of 16 MB, the last one shorter."""
    parts = [payload[at : at + LARGEST] for at in range(0, len(payload) + 1, LARGEST)]
    return b"".join(len(part).to_bytes(3, "little") + b"\0" + part for part in parts)


def cell(value: str | None) -> bytes:
    """A value as it stands in a row."""
    if value is None:
        return b"\xfb"
    text = value.encode()
    size = len(text)
    if size < 251:
        return bytes([size]) + text
    width, code = (2, 252) if size < 1 << 16 else (3, 253) if size < 1 << 24 else (8, 254)
    return bytes([code]) + size.to_bytes(width, "little") + text


def answer(rows: Sequence[Sequence[str | None]]) -> bytes:
    return b"".join(packet(b"".join(map(cell, row))) for row in rows) + END


def read(session: Any, columns: int, binary: bool = False) -> list[tuple[str | None, ...]]:
    names = [f"c{number}" for number in range(columns)]
    return [row for frame in mysql_rows.frames(session, names, binary=[binary] * columns) for row in frame.rows()]


TEXT = st.none() | st.text(max_size=20) | st.sampled_from([0, 12, 13, 250, 251, 70_000]).map("é".__mul__)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT, TEXT), max_size=12), st.integers(1, 5_000), st.sampled_from([64, 1_000, 1 << 20]))
def test_rows_are_the_same_whatever_pieces_they_come_in(
    rows: list[tuple[str | None, ...]], at_once: int, piece: int
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(mysql_rows, "_PIECE_BYTES", piece)
        session = session_that_receives(answer(rows), at_once)
        assert read(session, 3) == rows
    assert not session._result.unbuffered_active


@pytest.mark.parametrize("size", [LARGEST - 5, LARGEST - 4, LARGEST + 100])
def test_a_row_of_16_megabytes_comes_in_several_packets(size: int) -> None:
    rows = [("before", None), ("x" * size, "é"), (None, "behind")]
    assert read(session_that_receives(answer(rows), 1 << 20), 2) == rows


def test_bytes_are_base64_and_what_is_no_utf8_stays_readable() -> None:
    row = packet(b"\x02\x00\xff")
    assert read(session_that_receives(row + END, 99), 1, binary=True) == [("AP8=",)]
    assert read(session_that_receives(row + END, 99), 1) == [("\0\\xff",)]


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        (b"", "Lost connection"),
        (answer([("second",)])[:6], "Lost connection"),
        (packet(b"\xff\x25\x05#70100Query execution was interrupted"), "interrupted"),
    ],
)
def test_an_answer_that_breaks_off_is_an_error_behind_the_whole_rows(rest: bytes, words: str) -> None:
    session, taken = session_that_receives(answer([("first",)])[: -len(END)] + rest, 7), []
    with pytest.raises(pymysql.err.MySQLError, match=words):
        taken.extend(frame for frame in mysql_rows.frames(session, ["a"], binary=[False]))
    assert not session._result.unbuffered_active


@pytest.mark.parametrize("may_lock", [True, False])
def test_connections_that_read_beside_share_a_snapshot_where_the_table_can_be_locked(
    mariadb: Server, monkeypatch: pytest.MonkeyPatch, may_lock: bool
) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", PASSWORD)
    mariadb.run(
        "DROP TABLE IF EXISTS counted",
        "CREATE TABLE counted (id int) ENGINE=InnoDB",
        "CREATE OR REPLACE USER reader IDENTIFIED BY 's3cret-pw'",
        "GRANT SELECT ON shop.counted TO reader",
        *(["GRANT LOCK TABLES ON shop.* TO reader"] if may_lock else []),
    )
    begin, refused = mysql._begin, []

    def begin_while_somebody_writes(session: Any) -> None:
        try:
            mariadb.run("SET lock_wait_timeout = 0", "INSERT INTO counted VALUES (1)")
        except pymysql.err.OperationalError as error:
            refused.append(error.args[0])
        begin(session)

    monkeypatch.setattr(mysql, "_begin", begin_while_somebody_writes)
    with reading(connection_to(mariadb, user="reader")) as reader:
        reader.read_beside("`counted`", 3, agreeing=False)
        assert reader.reads_side_by_side
        reads = [reader.batches("SELECT count(*) FROM counted", ["n"]) for _ in range(3)]
        seen = [int(next(one)["n"][0]) for one in reads]
        assert ("one consistent snapshot" in reader.snapshot) == may_lock
    assert seen == ([1, 1, 1] if may_lock else [2, 3, 4])
    assert refused == ([1205] * 3 if may_lock else [])
    mariadb.run("SET lock_wait_timeout = 0", "INSERT INTO counted VALUES (1)")
    if not may_lock:
        with reading(connection_to(mariadb, user="reader")) as reader:
            reader.read_beside("`counted`", 3, agreeing=True)
            assert not reader.reads_side_by_side
            assert "of one connection" in reader.snapshot


def test_a_reader_waits_without_holding_others_up(mariadb: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another thread does meanwhile is done before the server answers."""
    from threading import Event, Thread

    monkeypatch.setenv("SHOP_PASSWORD", PASSWORD)
    done, asked = Event(), Event()

    def other() -> None:
        asked.wait()
        mariadb.run("SELECT 1")
        done.set()

    thread = Thread(target=other)
    thread.start()
    with reading(connection_to(mariadb)) as reader:
        asked.set()
        (frame,) = reader.batches("SELECT SLEEP(0.3) AS c0", ["c"])
        assert done.is_set()
    thread.join()
    assert frame.equals(pl.DataFrame({"c": ["0"]}))
