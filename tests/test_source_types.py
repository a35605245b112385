"""What a value of a database becomes in bronze: canonical text that loses nothing, whatever the session's settings."""

from __future__ import annotations

from base64 import b64encode
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from flowforge_assets.bronze import type_ladder
from flowforge_assets.extraction.cursor import value_of
from flowforge_resources.databases.connection import ConnectionFields
from flowforge_resources.databases.readers.base import SourceColumn
from flowforge_resources.databases.readers.value_text import value_text
from flowforge_resources.databases.reading import reading
from sources import DATABASE, PASSWORD, USER

if TYPE_CHECKING:
    from pathlib import Path

    from sources import Server

POSTGRES = [
    (
        "numeric",
        "'123456789012345678901234567890.123456789012345678901234567890'",
        "123456789012345678901234567890.123456789012345678901234567890",
    ),
    ("numeric(12,2)", "1.5", "1.50"),
    ("numeric", "'NaN'", "NaN"),
    ("bigint", "9223372036854775807", "9223372036854775807"),
    ("double precision", "0.1::float8 + 0.2", "0.30000000000000004"),
    ("real", "0.1", "0.1"),
    ("double precision", "'-Infinity'", "-Infinity"),
    ("boolean", "true", "true"),
    ("timestamptz", "'2026-07-01 12:00:00.123456+02'", "2026-07-01 10:00:00.123456+00"),
    ("timestamp", "'2026-07-01 12:00:00'", "2026-07-01 12:00:00"),
    ("timestamptz", "'infinity'", "infinity"),
    ("date", "'4713-01-01 BC'", "4713-01-01 BC"),
    ("time", "'24:00:00'", "24:00:00"),
    ("interval", "'1 year 2 days 03:04:05.5'", "P1Y2DT3H4M5.5S"),
    ("money", "'$1,234.56'", "1234.56"),
    ("bytea", "'\\x00ff41'", "AP9B"),
    ("bytea", "decode(repeat('00', 100), 'hex')", "A" * 134 + "=="),
    ("uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("json", "'{\"a\" :  1.10}'", '{"a" :  1.10}'),
    ("jsonb", "'{\"a\" :  1.10}'", '{"a": 1.10}'),
    ("int[]", "'{{1,NULL},{3,4}}'", "[[1,null],[3,4]]"),
    ("text[]", "array['a,b', 'c\"d', '']", '["a,b","c\\"d",""]'),
    ("bit(5)", "B'00101'", "00101"),
    ("varbit", "B''", ""),
    ("inet", "'::1/128'", "::1/128"),
    ("int4range", "'[1,5)'", "[1,5)"),
    ("char(5)", "'ab'", "ab"),
    ("text", "''", ""),
    ("text", "E'tab\\tline\\nback\\\\slash \\u20ac'", "tab\tline\nback\\slash €"),
    ("text", "NULL", None),
    ("xml", "'<a/>'", "<a/>"),
    ("point", "'(1.5,2)'", "(1.5,2)"),
    ("timestamptz", "'10000-01-01 00:00+00'", "10000-01-01 00:00:00+00"),
    ("timestamp", "'4713-01-01 00:00:00 BC'", "4713-01-01 00:00:00 BC"),
    ("date", "'-infinity'", "-infinity"),
    ("timetz", "'12:00+05:30'", "12:00:00+05:30"),
    ("numeric", "'-Infinity'", "-Infinity"),
    ("numeric", "1e-40", "0." + "0" * 39 + "1"),
    ("double precision", "1e-320", "1e-320"),
    ("interval", "'-1 day -02:03:04.000001'", "P-1DT-2H-3M-4.000001S"),
    ("money", "-92233720368547758.08", "-92233720368547758.08"),
    ("numeric[]", "array['NaN'::numeric, 1.10]", '["NaN",1.10]'),
    ("timestamptz[]", "array['2026-01-01 00:00+02'::timestamptz]", '["2025-12-31T22:00:00+00:00"]'),
    ("json", "'null'", "null"),
    ("feeling[]", "array['so so']::feeling[]", '["so so"]'),
    ("feeling", "'so so'", "so so"),
    ("pair", "ROW(1, 'x')", '{"a":1,"b":"x"}'),
]
MARIADB = [
    (
        "decimal(65,30)",
        "'12345678901234567890123456789012345.123456789012345678901234567890'",
        "12345678901234567890123456789012345.123456789012345678901234567890",
    ),
    ("bigint unsigned", "18446744073709551615", "18446744073709551615"),
    ("tinyint", "-128", "-128"),
    ("boolean", "true", "1"),
    ("double", "0.1e0 + 0.2e0", "0.30000000000000004"),
    ("float", "16777216", "16777216"),
    ("float", "0.1", "0.10000000149011612"),
    ("timestamp(6)", "'2026-07-01 10:00:00.123456'", "2026-07-01 10:00:00.123456+00:00"),
    ("datetime(6)", "'2026-07-01 12:00:00.5'", "2026-07-01 12:00:00.500000"),
    ("datetime", "'0000-00-00 00:00:00'", "0000-00-00 00:00:00"),
    ("date", "'0000-00-00'", "0000-00-00"),
    ("date", "'2026-00-10'", "2026-00-10"),
    ("time", "'-838:59:59'", "-838:59:59"),
    ("year", "2026", "2026"),
    ("bit(10)", "b'101'", "0000000101"),
    ("blob", "x'00ff41'", "AP9B"),
    ("varbinary(200)", "repeat(x'00', 100)", "A" * 134 + "=="),
    ("json", "'{\"a\" :  1.10}'", '{"a" :  1.10}'),
    ("enum('ok','so so')", "'so so'", "so so"),
    ("set('a','b')", "'b,a'", "a,b"),
    ("char(5)", "'ab'", "ab"),
    ("varchar(9) character set latin1", "'é'", "é"),
    ("text", "'🎉 back\\\\slash'", "🎉 back\\slash"),
    ("text", "''", ""),
    ("text", "NULL", None),
    ("int unsigned zerofill", "42", "42"),
    ("decimal(10,3) zerofill", "1.5", "1.500"),
    ("double", "5e-324", "5e-324"),
    ("double(10,2)", "1.5", "1.50"),
    ("datetime(6)", "'9999-12-31 23:59:59.999999'", "9999-12-31 23:59:59.999999"),
    ("timestamp", "'0000-00-00 00:00:00'", "0000-00-00 00:00:00"),
    ("time(6)", "'-00:00:00.5'", "-00:00:00.500000"),
    ("year", "0", "0000"),
    ("binary(4)", "x'00'", "AAAAAA=="),
    ("point", "ST_GeomFromText('POINT(1 2)')", "AQEAAAAAAAAAAADwPwAAAAAAAABA"),
    ("varchar(9) character set utf16", "'🎉'", "🎉"),
    ("longtext", "repeat('x', 70000)", "x" * 70_000),
]


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", PASSWORD)


def connection_to(server: Server, **fields: Any) -> ConnectionFields:
    return ConnectionFields(
        name="shop",
        kind=server.kind,
        **{
            "host": "127.0.0.1",
            "port": str(server.port),
            "database": DATABASE,
            "user": USER,
            "password": "env('SHOP_PASSWORD')",
            **fields,
        },
    )


def read_row(connection: ConnectionFields, relation: str) -> tuple[list[str], list[str | None]]:
    """Types and texts of the only row of a relation."""
    with reading(connection) as reader:
        columns = reader.describe(relation)
        shown = ", ".join(f"{one.text} AS c{number}" for number, one in enumerate(columns))
        frames = list(reader.batches(f"SELECT {shown} FROM {relation}", [one.name for one in columns]))
    (frame,) = [one for one in frames if one.height]
    return [one.type for one in columns], list(frame.row(0))


def test_every_type_of_postgres_is_kept(postgres: Server) -> None:
    postgres.run(
        "DROP TABLE IF EXISTS every_type",
        "DROP TYPE IF EXISTS feeling, pair",
        "CREATE TYPE feeling AS ENUM ('ok', 'so so')",
        "CREATE TYPE pair AS (a int, b text)",
        "CREATE TABLE every_type (" + ", ".join(f"c{n} {kind}" for n, (kind, _, _) in enumerate(POSTGRES)) + ")",
        "INSERT INTO every_type VALUES (" + ", ".join(value for _, value, _ in POSTGRES) + ")",
        # What must not matter.
        f"ALTER ROLE {USER} SET datestyle = 'German'",
        f"ALTER ROLE {USER} SET timezone = 'Asia/Kolkata'",
        f"ALTER ROLE {USER} SET extra_float_digits = 0",
    )
    types, texts = read_row(connection_to(postgres), '"every_type"')
    assert dict(enumerate(texts)) == {n: text for n, (_, _, text) in enumerate(POSTGRES)}
    assert types[1] == "numeric(12,2)"
    postgres.run(f"ALTER ROLE {USER} RESET ALL")


def test_bytes_of_a_database_without_an_encoding_are_kept_as_escapes(postgres: Server) -> None:
    made = "CREATE DATABASE no_encoding ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0"
    postgres.run("DROP DATABASE IF EXISTS no_encoding", made)
    with closing(postgres.session("no_encoding")) as session, session.cursor() as cursor:
        said = "convert_from('\\xff41e9'::bytea, 'SQL_ASCII')"
        values = f"{said} AS odd, 'größe' AS fine, ARRAY[{said}] AS many, '\\xff'::bytea AS raw, NULL::text AS nothing"
        cursor.execute(f"CREATE TABLE t AS SELECT 1 AS id, {values}".encode())
        cursor.execute("INSERT INTO t SELECT 2, 'ok', fine, many, raw, nothing FROM t")
    connection = connection_to(postgres, database="no_encoding")
    _, texts = read_row(connection, "(SELECT * FROM t WHERE id = 1) AS source")
    assert texts == ["1", "\\xffA\\xe9", "größe", '["\\xffA\\xe9"]', "/w==", None]
    with reading(connection) as reader:
        (column, *_) = reader.describe('"t"')
        assert reader.texts(f"SELECT {column.text} FROM (SELECT max(id) AS id FROM t) AS source") == [("2",)]


def test_every_type_of_mariadb_is_kept(mariadb: Server) -> None:
    mariadb.run(
        "SET sql_mode = 'ALLOW_INVALID_DATES'",
        "SET time_zone = '+00:00'",
        "DROP TABLE IF EXISTS every_type",
        "CREATE TABLE every_type (" + ", ".join(f"c{n} {kind} NULL" for n, (kind, _, _) in enumerate(MARIADB)) + ")",
        "INSERT INTO every_type VALUES (" + ", ".join(value for _, value, _ in MARIADB) + ")",
        "SET GLOBAL time_zone = '+05:30'",
    )
    try:
        types, texts = read_row(connection_to(mariadb), "`every_type`")
    finally:
        mariadb.run("SET GLOBAL time_zone = '+00:00'")
    assert dict(enumerate(texts)) == {n: text for n, (_, _, text) in enumerate(MARIADB)}
    assert types[:2] == ["decimal(65,30)", "bigint unsigned"]


def test_values_above_what_mariadb_takes_in_one_packet_are_whole(mariadb: Server) -> None:
    """`TO_BASE64` and the like would make NULL of them, with a warning that nobody sees."""
    size = 300_000
    mariadb.run(
        "DROP TABLE IF EXISTS large",
        "CREATE TABLE large (b longblob, t longtext, l longtext CHARACTER SET latin1)",
        f"INSERT INTO large VALUES (repeat(x'00ff', {size}), repeat('é', {size}), repeat('é', {size}))",
        "SET GLOBAL max_allowed_packet = 262144",
    )
    try:
        _, texts = read_row(connection_to(mariadb), "`large`")
    finally:
        mariadb.run("SET GLOBAL max_allowed_packet = 16777216")
    assert texts == [b64encode(b"\x00\xff" * size).decode(), "é" * size, "é" * size]


def test_the_types_of_duckdb_and_sqlite_are_kept(tmp_path: Path) -> None:
    import sqlite3

    import duckdb

    duck, lite = tmp_path / "a.duckdb", tmp_path / "a.db"
    with duckdb.connect(str(duck)) as made:
        made.execute("SET TimeZone = 'Asia/Kolkata'")
        made.execute(
            "CREATE TABLE t AS SELECT 1.10::DECIMAL(38,20) AS a, '\\xFF'::BLOB AS b, [1, NULL] AS c, "
            "TIMESTAMPTZ '2026-07-01 10:00:00+00' AS d, 340282366920938463463374607431768211455::UHUGE AS e, {'x': 1} AS f".replace(
                "UHUGE", "UHUGEINT"
            )
        )
    _, texts = read_row(ConnectionFields(name="shop", kind="duckdb", database=str(duck)), '"t"')
    assert texts == ["1.10000000000000000000", "/w==", "[1,null]", "2026-07-01 10:00:00+00", str(2**128 - 1), '{"x":1}']
    with closing(sqlite3.connect(lite)) as session:
        session.execute("CREATE TABLE t (a, b BLOB, c REAL, d TEXT)")
        session.execute("INSERT INTO t VALUES (9223372036854775807, x'FF', 0.1, 'x')")
        session.commit()
    types, texts = read_row(ConnectionFields(name="shop", kind="sqlite", database=str(lite)), '"t"')
    assert texts == ["9223372036854775807", "/w==", "0.1", "x"]
    assert types == ["any", "blob", "real", "text"]


@pytest.mark.parametrize(
    ("types", "number", "moment"),
    [
        (["bigint unsigned", "int unsigned zerofill", "decimal(10,3) zerofill", "number(10,2)", "year"], True, False),
        (["double precision", "binary_double", "numeric", "bigserial", "uhugeint", "double unsigned"], True, False),
        (["timestamp(6) with time zone", "timestamp with local time zone", "datetime2(7)", "date"], False, True),
        (["timestamp_ns", "datetimeoffset(7)", "datetime(6)", "timestamp without time zone"], False, True),
        (
            ["point", "integer[]", "interval", "daterange", "rowversion", "money", "int4range", "tinyint[]"],
            False,
            False,
        ),
    ],
)
def test_what_a_cursor_may_be_is_told_by_the_whole_type(types: list[str], number: bool, moment: bool) -> None:
    assert {one: type_ladder.is_number(one) for one in types} == dict.fromkeys(types, number)
    assert {one: type_ladder.is_moment(one) for one in types} == dict.fromkeys(types, moment)
    assert type_ladder.holds_all_of("bigint unsigned", "int unsigned")
    assert type_ladder.holds_all_of("bigint", "int unsigned")
    assert not type_ladder.holds_all_of("int", "int unsigned")


def test_values_of_python_become_the_same_texts() -> None:
    from datetime import UTC, date, datetime, time, timedelta, timezone
    from decimal import Decimal
    from uuid import UUID

    zone = timezone(timedelta(hours=2))
    said = {
        Decimal("1E+3"): "1000",
        Decimal("NaN"): "NaN",
        datetime(2026, 7, 1, 12, tzinfo=zone): "2026-07-01 10:00:00+00:00",
        datetime(2026, 7, 1, 12): "2026-07-01 12:00:00",  # noqa: DTZ001
        date(2026, 7, 1): "2026-07-01",
        time(1, 2): "01:02:00",
        timedelta(days=-1, hours=1): "-P0DT23H0M0S",
        UUID(int=1): "00000000-0000-0000-0000-000000000001",
        0.1: "0.1",
        True: "true",
        b"\xff": "/w==",
    }
    assert {key: value_text(key) for key in said} == said
    assert (
        value_text([Decimal("1.10"), None, {"a": datetime(2026, 1, 1, tzinfo=UTC)}])
        == '["1.10",null,{"a":"2026-01-01 00:00:00+00:00"}]'
    )


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("2026-01-01 10:00:00+00", "2026-01-01 10:00:00.5+00"),
        ("2026-01-01 10:00:00.12345+00", "2026-01-01 10:00:00.123456+00"),
        ("2026-01-01 10:00:00.1234567", "2026-01-01 10:00:01"),
        ("2026-01-01", "2026-01-02 00:00:00"),
    ],
)
def test_moments_are_compared_as_moments(earlier: str, later: str) -> None:
    column = SourceColumn("at", "timestamp", "at")
    assert value_of(earlier, column) < value_of(later, column)
    assert value_of("9", SourceColumn("n", "bigint", "n")) < value_of("10", SourceColumn("n", "bigint", "n"))
