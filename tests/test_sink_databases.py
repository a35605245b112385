"""Rows delivered to databases: real servers and files. Once, again, partly, and not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flowforge_resources.errors import ConcurrentPublishError, DatabaseUnreachableError, SinkCountsError, SinkError
from flowforge_resources.sinks import database
from sink_targets import KINDS, Target, new_target
from sources import PASSWORD, CuttingProxy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DAY1 = "SELECT * FROM (VALUES (1, 'a', 10), (2, 'b', 20), (3, NULL, 30)) AS t (id, label, amount)"
DAY2 = "SELECT * FROM (VALUES (1, 'a', 10), (2, 'B', NULL), (4, 'd', 40)) AS t (id, label, amount)"
ROWS1 = [(1, "a", 10), (2, "b", 20), (3, None, 30)]
ROWS2 = [(1, "a", 10), (2, "B", None), (4, "d", 40)]
MODES = {
    "replace": ({"mode": "replace"}, ROWS2, (3, 0, 3)),
    "upsert": ({"mode": "upsert", "keys": ["id"]}, [*ROWS2[:2], ROWS1[2], ROWS2[2]], (1, 1, 0)),
    "upsert and delete": ({"mode": "upsert", "keys": ["id"], "deletes": True}, ROWS2, (1, 1, 1)),
    "append": ({"mode": "append", "keys": ["id"]}, [*ROWS1, ROWS2[2]], (1, 0, 0)),
}


@pytest.fixture(params=KINDS)
def target(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    monkeypatch.setenv("SHOP_PASSWORD", PASSWORD)
    server = request.getfixturevalue(request.param) if request.param in ("postgres", "mariadb") else None
    return new_target(request.param, tmp_path, server)


@pytest.fixture(params=KINDS[:2])
def server(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    monkeypatch.setenv("SHOP_PASSWORD", PASSWORD)
    return new_target(request.param, tmp_path, request.getfixturevalue(request.param))


@pytest.fixture
def pg(postgres: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    monkeypatch.setenv("SHOP_PASSWORD", PASSWORD)
    return new_target("postgres", tmp_path, postgres)


def rows_in(target: Target) -> list[Sequence[Any]]:
    return target.run("SELECT id, label, amount FROM {t} ORDER BY id")


@pytest.mark.parametrize("mode", MODES)
def test_a_version_is_delivered_once(target: Target, mode: str) -> None:
    how, expected, counts = MODES[mode]
    first = target.deliver(DAY1, "v1", **how)
    assert (first.inserted, first.counted, first.changed) == (3, 3, True)
    assert rows_in(target) == ROWS1
    assert not target.deliver(DAY1, "v1", **how).changed
    second = target.deliver(DAY2, "v2", **how)
    assert rows_in(target) == expected
    assert (second.inserted, second.updated, second.deleted, second.counted) == (*counts, 3)
    assert target.tables() == [target.table]


@pytest.mark.parametrize("mode", MODES)
def test_a_crash_behind_the_commit_delivers_nothing_twice(target: Target, mode: str) -> None:
    """The target knows what it got; nobody else has to."""
    how, _, _ = MODES[mode]
    target.deliver(DAY1, "v1", **how)
    target.run("UPDATE {t} SET amount = 99 WHERE id = 1")  # an application at work
    again = target.deliver(DAY1, "v1", **how)
    assert (again.changed, again.rows) == (False, 3)
    assert rows_in(target)[0] == (1, "a", 99)


def test_a_table_that_was_dropped_is_delivered_again(target: Target) -> None:
    target.deliver(DAY1)
    target.run("DROP TABLE {t}")
    assert target.deliver(DAY1).changed
    assert rows_in(target) == ROWS1


def test_a_table_of_someone_else_keeps_its_own_columns_types_and_defaults(target: Target) -> None:
    target.run(
        "CREATE TABLE {t} (note VARCHAR(20) DEFAULT 'x', id BIGINT NOT NULL PRIMARY KEY, label VARCHAR(9), amount INT)"
    )
    target.run("INSERT INTO {t} VALUES ('mine', 1, 'old', 0)")
    target.deliver(DAY1, mode="upsert", keys=["id"])
    assert target.run("SELECT note, id, label FROM {t} ORDER BY id") == [
        ("mine", 1, "a"),
        ("x", 2, "b"),
        ("x", 3, None),
    ]
    target.deliver(DAY2, "v2")
    assert target.run("SELECT note, id, label FROM {t} ORDER BY id") == [("x", 1, "a"), ("x", 2, "B"), ("x", 4, "d")]


TYPES = {
    "text": (r"""'Jürgen ''x'' \ " %s ✓' || chr(10) || 'line'""", "Jürgen 'x' \\ \" %s ✓\nline"),
    "empty": ("''", ""),
    "nothing": ("NULL::VARCHAR", None),
    "whole": ("9223372036854775807", 9223372036854775807),
    "large": ("18446744073709551615::UBIGINT", "18446744073709551615"),
    "exact": ("123456789012345678.12::DECIMAL(20,2)", "123456789012345678.12"),
    "real": ("0.1::DOUBLE", 0.1),
    "yes": ("TRUE", True),
    "day": ("DATE '2026-02-28'", "2026-02-28"),
    "moment": ("TIMESTAMP '2026-02-28 23:59:58.123456'", "2026-02-28 23:59:58.123456"),
    "list": ("[1, 2]", "[1,2]"),
    "bytes": (r"'\x00\xFF'::BLOB", b"\x00\xff"),
    "order": ("'reserved'", "reserved"),
    "Größe %": ("1", 1),
}


def test_every_type_arrives_as_it_is(target: Target) -> None:
    query = ", ".join(f'{sql} AS "{name}"' for name, (sql, _) in TYPES.items())
    for mode in ("replace", "upsert"):  # a new table, and one that is there
        target.deliver(f"SELECT {query}", mode, mode=mode, keys=["whole"])
        (row,) = target.run(f"SELECT {', '.join(map(target.quoted, TYPES))} FROM {target.table}")
        for (name, (_, wanted)), found in zip(TYPES.items(), row, strict=True):
            assert found == wanted or str(found) == wanted, name


WRONG = {
    "a column is missing there": ("CREATE TABLE {t} (id BIGINT, label VARCHAR(9))", ("no column `amount`", "ADD")),
    "a type cannot hold it": (
        "CREATE TABLE {t} (id BIGINT, label DATE, amount INT)",
        ("the column `label`", "cannot hold every VARCHAR"),
    ),
    "a column is demanded": (
        "CREATE TABLE {t} (id BIGINT, label VARCHAR(9), amount INT, more INT NOT NULL)",
        ("the column `more`", "not delivered"),
    ),
    "nulls are refused": (
        "CREATE TABLE {t} (id BIGINT, label VARCHAR(9) NOT NULL, amount INT)",
        ("1 of 3 rows have no value for `label`, which is NOT NULL",),
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_table_that_cannot_take_the_rows_is_told_before_anything_is_written(target: Target, case: str) -> None:
    create, wanted = WRONG[case]
    if target.kind == "sqlite" and "type" in case:
        pytest.skip("SQLite's columns take anything")
    target.run(create)
    with pytest.raises(SinkError) as refused:
        target.deliver(DAY1)
    for part in (*wanted, "the target is as it was"):
        assert part in str(refused.value)
    assert target.run("SELECT count(*) FROM {t}") == [(0,)]
    assert target.tables() == [target.table]


def test_a_constraint_of_the_target_takes_everything_back(target: Target) -> None:
    target.run("CREATE TABLE {t} (id BIGINT PRIMARY KEY, label VARCHAR(9) UNIQUE, amount INT)")
    target.run("INSERT INTO {t} VALUES (1, 'z', 0), (9, 'b', 0)")
    with pytest.raises(SinkError) as refused:
        target.deliver(DAY1, mode="upsert", keys=["id"])
    said = str(refused.value)
    assert "constraint of the target" in said
    assert "'b'" not in said and "(b)" not in said  # noqa: PT018  # a value may be personal
    if target.server:
        assert "refuses 1 rows" in said and "label" in said  # noqa: PT018
    assert rows_in(target) == [(1, "z", 0), (9, "b", 0)]
    assert target.tables() == [target.table]


def test_a_check_of_the_target_is_named(server: Target) -> None:
    server.run("CREATE TABLE {t} (id BIGINT, label VARCHAR(9), amount INT, CONSTRAINT small CHECK (amount < 25))")
    for mode in ("replace", "append"):
        with pytest.raises(SinkError, match="`small`"):
            server.deliver(DAY1, mode=mode, keys=["id"])
    assert rows_in(server) == []


def test_a_text_that_is_too_long_is_refused_and_not_cut(server: Target) -> None:
    server.run(
        "SET sql_mode = ''" if server.kind == "mariadb" else "SELECT 1",
        "CREATE TABLE {t} (id BIGINT, label VARCHAR(2), amount INT)",
    )
    with pytest.raises(SinkError, match="refuses a value") as refused:
        server.deliver("SELECT 1 AS id, 'secret' AS label, 1 AS amount")
    assert "secret" not in str(refused.value)
    assert rows_in(server) == []


def test_keys_that_do_not_identify_are_refused(pg: Target) -> None:
    twice = f"{DAY1} UNION ALL SELECT 1, 'again', 1"
    with pytest.raises(SinkError, match="1 rows repeat the key"):
        pg.deliver(twice, mode="upsert", keys=["id"])
    with pytest.raises(SinkError, match="1 rows have no `label`"):
        pg.deliver(DAY1, mode="append", keys=["label"])
    assert pg.tables() == []


def test_a_good_table_is_not_emptied_in_silence(pg: Target) -> None:
    none = f"{DAY1} WHERE FALSE"
    pg.deliver(DAY1)
    with pytest.raises(SinkError, match="allow_empty"):
        pg.deliver(none, "v2")
    assert rows_in(pg) == ROWS1
    assert pg.deliver(none, "v2", allow_empty=True).deleted == 3
    assert rows_in(pg) == []


@pytest.mark.parametrize("mode", ["replace", "upsert", "append"])
def test_rows_that_a_trigger_swallows_are_missed_and_nothing_is_changed(pg: Target, mode: str) -> None:
    pg.run(
        "CREATE TABLE {t} (id BIGINT PRIMARY KEY, label TEXT, amount INT)",
        "CREATE OR REPLACE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "CREATE TRIGGER swallow BEFORE INSERT ON {t} FOR EACH ROW WHEN (NEW.id = 2) EXECUTE FUNCTION swallow()",
    )
    if mode == "replace":  # a new table takes its place, without the trigger
        assert pg.deliver(DAY1, mode=mode).counted == 3
        return
    with pytest.raises(SinkCountsError, match=r"3 rows were to be delivered, and .* holds 2 of them"):
        pg.deliver(DAY1, mode=mode, keys=["id"])
    assert rows_in(pg) == []


def test_a_swap_keeps_indexes_and_grants(pg: Target) -> None:
    pg.deliver(DAY1, keys=["id"])
    pg.run(
        "DO 'BEGIN CREATE ROLE reader; EXCEPTION WHEN duplicate_object THEN END'",
        "GRANT SELECT ON {t} TO reader",
        "CREATE INDEX ON {t} (label)",
    )
    pg.deliver(DAY2, "v2", keys=["id"])
    assert pg.run(
        "SELECT has_table_privilege('reader', '{t}', 'SELECT'), has_table_privilege('reader', '{t}', 'INSERT')"
    ) == [(True, False)]
    assert pg.run("SELECT count(*) FROM pg_indexes WHERE tablename = '{t}'") == [(2,)]


def test_a_reader_sees_the_old_or_the_new_table(server: Target) -> None:
    import threading

    server.deliver("SELECT 1 AS id, range AS n FROM range(500)")
    seen, stop = set(), threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.add(tuple(server.run("SELECT count(*), min(id), max(id) FROM {t}")[0]))

    reader = threading.Thread(target=read)
    reader.start()
    for version in range(2, 6):
        server.deliver(f"SELECT {version} AS id, range AS n FROM range(500)", str(version))
    stop.set()
    reader.join()
    assert seen <= {(500, version, version) for version in range(1, 6)}


def test_two_runs_at_once_end_as_one(pg: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another run delivers between what this one looked at and its transaction."""
    pg.deliver(DAY1, "v1", "upsert", keys=["id"])
    stage = database._Delivery._stage

    def slowly(self: Any, shape: Any) -> None:
        stage(self, shape)
        monkeypatch.setattr(database._Delivery, "_stage", stage)
        monkeypatch.setattr(database._Delivery, "_sweep", lambda _: None)
        pg.deliver(DAY2, "v3", "upsert", keys=["id"])

    monkeypatch.setattr(database._Delivery, "_stage", slowly)
    with pytest.raises(ConcurrentPublishError):
        pg.deliver(DAY1, "v2", "upsert", keys=["id"])
    assert rows_in(pg) == [*ROWS2[:2], ROWS1[2], ROWS2[2]]


@pytest.mark.parametrize("bytes_left", [600, 2500, 6000, 9000])
def test_a_connection_that_is_cut_leaves_the_target_as_it_was_and_the_next_run_delivers(
    server: Target, bytes_left: int
) -> None:
    """The proxy cuts behind some bytes of answers: while logging in, looking, loading, or changing."""
    server.deliver(DAY1, "v1", "upsert", keys=["id"])
    with CuttingProxy(server.server.port, bytes_left) as proxy:
        try:
            server.at(proxy.port).deliver(DAY2, "v2", "upsert", keys=["id"], deletes=True)
        except DatabaseUnreachableError:
            assert rows_in(server) == ROWS1
        else:
            assert rows_in(server) == ROWS2
    server.deliver(DAY2, "v2", "upsert", keys=["id"], deletes=True)
    assert rows_in(server) == ROWS2
    assert server.tables() == [server.table]
