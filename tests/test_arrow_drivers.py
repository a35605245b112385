"""SQL Server and Oracle, which no server is at hand for: what is asked of them, and what their drivers' Arrow becomes.

The sessions are stand-ins; batches, types and errors are the drivers' own classes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self

import mssql_python.exceptions as mssql
import oracledb
import pyarrow as pa
import pytest
import sqlglot
from oracledb.errors import _Error
from sqlalchemy.dialects.mssql.mssqlpython import dialect as mssql_dialect
from sqlalchemy.dialects.oracle.oracledb import dialect as oracle_dialect

from flowforge_assets.extraction.cursor import Reached, is_number, window
from flowforge_assets.extraction.source import DatabaseSource
from flowforge_resources.databases.connection import ConnectionFields
from flowforge_resources.databases.readers.arrow_text import FIRST_ROWS, rows_of_next, rows_of_width, text_of_arrow
from flowforge_resources.databases.reading import reading
from flowforge_resources.errors import DatabaseUnreachableError, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowforge_resources.databases.readers.base import Reader

MOMENT = datetime(2026, 7, 1, 12, 0, 0, 123456)  # noqa: DTZ001  # of no zone
ARROW = [
    (pa.array(["é", "", None]), ["é", "", None]),
    (pa.array(["a" * 70_000], pa.large_string()), ["a" * 70_000]),
    (pa.array(["x"], pa.string_view()), ["x"]),
    (pa.array([b"\x00\xffA", b"", None]), ["AP9B", "", None]),
    (pa.array([b"\xff"], pa.large_binary()), ["/w=="]),
    (pa.array([None]), [None]),
    (pa.array([True, False, None]), ["true", "false", None]),
    (pa.array([-(2**63)], pa.int64()), ["-9223372036854775808"]),
    (pa.array([2**64 - 1], pa.uint64()), ["18446744073709551615"]),
    (pa.array([0.1 + 0.2, 1e300, float("inf")]), ["0.30000000000000004", "1e+300", "inf"]),
    (pa.array([0.1], pa.float32()), ["0.10000000149011612"]),
    (pa.array([Decimal("1.10")], pa.decimal128(38, 2)), ["1.10"]),
    (pa.array([date(2026, 7, 1)]), ["2026-07-01"]),
    (pa.array([MOMENT], pa.timestamp("us")), ["2026-07-01 12:00:00.123456"]),
    (pa.array([MOMENT.replace(tzinfo=UTC)], pa.timestamp("us", "UTC")), ["2026-07-01 12:00:00.123456+00:00"]),
    (pa.array([1_782_907_200_123_456_789], pa.timestamp("ns")), ["2026-07-01 12:00:00.123456789"]),
    (pa.array([time(1, 2, 3)], pa.time64("us")), ["01:02:03"]),
    (pa.array([timedelta(hours=25)], pa.duration("us")), ["P1DT1H0M0S"]),
    (pa.array([[1.5, 2.0]]), ["[1.5,2.0]"]),
]


@dataclass
class Driver:
    """A driver's connection and cursor in one. `answers`: rows, or an error, by what a statement contains;
    `described`: what it says of columns, likewise; `breaks`: what happens behind the first batch."""

    table: pa.Table = field(default_factory=lambda: pa.table({"c0": ["1"]}))
    answers: dict[str, Any] = field(default_factory=dict)
    described: dict[str, list[Any]] = field(default_factory=dict)
    breaks: BaseException | None = None
    asked: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    at: int = 0

    def cursor(self) -> Driver:
        return self

    def execute(self, sql: str) -> None:
        self.asked.append(sql)
        self.at = 0
        self.answer = next((answer for sign, answer in self.answers.items() if sign in sql), [])
        self.description = next((said for sign, said in self.described.items() if sign in sql), [])
        if isinstance(self.answer, BaseException):
            raise self.answer

    def fetchall(self) -> list[Any]:
        return self.answer

    def fetchmany(self, rows: int) -> list[Any]:
        taken, self.answer = self.answer[:rows], self.answer[rows:]
        return taken

    def arrow_batch(self, rows: int) -> pa.RecordBatch:
        self.sizes.append(rows)
        if self.at and self.breaks:
            raise self.breaks
        taken = self.table.slice(self.at, rows)
        self.at += taken.num_rows
        return pa.RecordBatch.from_arrays([one.combine_chunks() for one in taken.columns], schema=taken.schema)

    def fetch_df_batches(self, sql: str, *, size: int) -> Iterator[oracledb.DataFrame]:
        self.asked.append(sql)
        self.sizes.append(size)
        yield oracledb.from_arrow(self.table)
        if self.breaks:
            raise self.breaks

    def rollback(self) -> None:
        self.asked.append("ROLLBACK")

    def close(self) -> None:
        self.asked.append("CLOSE")


class Session:
    """SQLAlchemy's engine and its one connection, around a driver's."""

    def __init__(self, dialect: Any, driver: Driver) -> None:
        self.dialect, self.driver = dialect, driver
        self.connection = SimpleNamespace(driver_connection=driver)

    def connect(self) -> Session:
        return self

    def execution_options(self, **_: Any) -> Session:
        return self

    def exec_driver_sql(self, sql: str) -> Answer:
        self.driver.execute(sql)
        return Answer(self.driver)

    def close(self) -> None:
        self.driver.close()

    dispose = close


class Answer:
    def __init__(self, driver: Driver) -> None:
        self.cursor, self.fetchmany = driver, driver.fetchmany

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def __iter__(self) -> Iterator[Any]:
        return iter(self.cursor.answer)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Readers around stand-ins for a driver's connection."""
    dialects = {"sqlserver": mssql_dialect, "oracle": oracle_dialect}

    def opened(kind: str, driver: Driver) -> Any:
        session = Session(dialects[kind](), driver)
        monkeypatch.setattr("flowforge_resources.databases.readers.alchemy.open_engine", lambda _connection: session)
        return reading(ConnectionFields(name="shop", kind=kind, host="db", user="app"))

    return opened


def sqlserver(types: dict[str, str], **fields: Any) -> Driver:
    """A stand-in for SQL Server's session that has columns of these types."""
    answers = {"snapshot_isolation_state": [(1,)], "describe_first": [(kind, None) for kind in types.values()]}
    said = {"WHERE 1 = 0": [(name, str) for name in types]}
    return Driver(answers={**answers, **fields.pop("answers", {})}, described=said, **fields)


def oracle(columns: list[tuple[Any, ...]], **fields: Any) -> Driver:
    """A stand-in for Oracle's session; columns by name, driver's type, size, precision and scale."""
    texts = [(f"C{n}", oracledb.DB_TYPE_VARCHAR, 40, None, None, None, True) for n in range(len(columns))]
    said = [(name, kind, size, None, *rest, True) for name, kind, size, *rest in columns]
    described = {"AS c0": texts, "WHERE 1 = 0": said, **fields.pop("described", {})}
    return Driver(described=described, **fields)


def selected(reader: Reader, relation: str) -> str:
    return (
        f"SELECT {', '.join(f'{one.text} AS c{n}' for n, one in enumerate(reader.describe(relation)))} FROM {relation}"
    )


@pytest.mark.parametrize(("column", "texts"), ARROW, ids=[str(column.type) for column, _ in ARROW])
def test_whatever_type_a_driver_brings_as_arrow_becomes_the_same_text(
    column: pa.Array, texts: list[str | None]
) -> None:
    for batch in (pa.RecordBatch.from_arrays([column], ["c0"]), pa.table({"c0": pa.chunked_array([column])})):
        frame = text_of_arrow(batch, ["größe"])
        assert frame["größe"].to_list() == texts
        assert str(frame.dtypes[0]) == "String"


def test_batches_have_some_megabytes_however_wide_a_row_is() -> None:
    assert rows_of_next(64, 640) == 512  # carefully at first
    assert rows_of_next(65_536, 1 << 20) == 65_536
    assert rows_of_next(64, 64 << 20) == 4
    assert rows_of_next(1, 1 << 30) == 1
    assert rows_of_width(100) == 41_943
    assert rows_of_width(1 << 20) == FIRST_ROWS


SQL_SERVER = {
    "id": ("bigint", "CONVERT(nvarchar(64), [id])"),
    "paid": ("money", "CONVERT(nvarchar(64), [paid], 2)"),
    "rate": ("float", "CONVERT(nvarchar(64), [rate], 3)"),
    "at": ("datetime2(7)", "CONVERT(nvarchar(64), [at], 121)"),
    "zoned": ("datetimeoffset(7)", "REPLACE(REPLACE(CONVERT(nvarchar(64), [zoned], 121), ' +', '+'), ' -', '-')"),
    "raw": ("varbinary(8)", "CAST([raw] AS varbinary(max))"),
    "version": ("rowversion", "CAST([version] AS varbinary(max))"),
    "we[i]rd": ("nvarchar(20)", "CONVERT(nvarchar(20), [we[i]]rd])"),
    "note": ("varchar(8000)", "CONVERT(nvarchar(max), [note])"),
    "xml": ("xml", "CONVERT(nvarchar(max), [xml])"),
    "place": ("geography", "CAST([place] AS varbinary(max))"),
    "node": ("hierarchyid", "[node].ToString()"),
}


def test_sql_server_is_asked_for_texts_that_lose_nothing_and_read_in_batches_of_arrow(opened: Any) -> None:
    types = {name: kind.replace("rowversion", "timestamp") for name, (kind, _) in SQL_SERVER.items()}
    driver = sqlserver(types, table=pa.table({"c0": [str(n) for n in range(1000)]}))
    with opened("sqlserver", driver) as reader:
        assert reader.snapshot == "one transaction of snapshot isolation"
        assert driver.asked.index("ROLLBACK") < driver.asked.index("SET TRANSACTION ISOLATION LEVEL SNAPSHOT")
        relation = reader.table("my schema", "it]s 100%")
        found = {one.name: (one.type, one.text) for one in reader.describe(relation)}
        assert found == SQL_SERVER
        frames = list(reader.batches(selected(reader, relation), ["id"]))
    assert [one.height for one in frames] == [*driver.sizes[:2], 1000 - sum(driver.sizes[:2])]
    assert [value for one in frames for value in one["id"]] == [str(n) for n in range(1000)]
    assert any(one.endswith("FROM [my schema].[it]]s 100%]") for one in driver.asked)
    for sql in driver.asked:
        if sql.startswith("SELECT"):
            assert sqlglot.parse_one(sql, dialect="tsql")


def test_a_sql_server_without_snapshots_is_read_all_the_same_and_what_it_cannot_describe_is_said(opened: Any) -> None:
    unknown = [(None, "The metadata could not be determined.")]
    driver = sqlserver({"id": "int"}, answers={"snapshot_isolation_state": [(0,)], "describe_first": unknown})
    with opened("sqlserver", driver) as reader:
        assert reader.snapshot == ""
        assert not any("SNAPSHOT" in one for one in driver.asked if one.startswith("SET"))
        with pytest.raises(SourceError, match="it says: The metadata could not be determined"):
            reader.describe(reader.query("SELECT * FROM #t;"))


def test_oracle_is_asked_for_texts_that_lose_nothing_and_read_in_batches_of_arrow(opened: Any) -> None:
    columns = [
        ("ID", oracledb.DB_TYPE_NUMBER, 39, 38, 0),
        ("ANYTHING", oracledb.DB_TYPE_NUMBER, 127, 0, -127),
        ("TOTAL", oracledb.DB_TYPE_NUMBER, 13, 10, 2),
        ("Name", oracledb.DB_TYPE_VARCHAR, 80, None, None),
        ("DAY", oracledb.DB_TYPE_DATE, 23, None, None),
        ("AT", oracledb.DB_TYPE_TIMESTAMP, 23, 0, 6),
        ("ZONED", oracledb.DB_TYPE_TIMESTAMP_TZ, 23, 0, 6),
        ("HERE", oracledb.DB_TYPE_TIMESTAMP_LTZ, 23, 0, 6),
        ("FOR_HOW_LONG", oracledb.DB_TYPE_INTERVAL_DS, None, 2, 6),
        ("RAW_ONE", oracledb.DB_TYPE_RAW, 16, None, None),
        ("DOC", oracledb.DB_TYPE_JSON, None, None, None),
        ("SELECT", oracledb.DB_TYPE_CLOB, None, None, None),
        ("RATIO", oracledb.DB_TYPE_BINARY_DOUBLE, 127, None, None),
    ]
    driver = oracle(columns, table=pa.table({f"C{n}": ["x", None] for n in range(13)}))
    with opened("oracle", driver) as reader:
        assert driver.asked[0] == "SET TRANSACTION READ ONLY"
        assert reader.snapshot == "one read-only transaction"
        relation = reader.table("app", "orders")
        assert relation == '"APP"."ORDERS"'
        found = {one.name: (one.type, one.text) for one in reader.describe(relation)}
        frames = list(reader.batches(selected(reader, relation), [f"n{n}" for n in range(13)]))
    assert found == {
        "id": ("number(38,0)", "TO_CHAR(\"ID\", 'TM9')"),
        "anything": ("number", "TO_CHAR(\"ANYTHING\", 'TM9')"),
        "total": ("number(10,2)", "TO_CHAR(\"TOTAL\", 'TM9')"),
        "Name": ("varchar2(80)", '"Name"'),
        "day": ("datetime", "LTRIM(TO_CHAR(\"DAY\", 'SYYYY-MM-DD HH24:MI:SS'))"),
        "at": ("timestamp", "LTRIM(TO_CHAR(\"AT\", 'SYYYY-MM-DD HH24:MI:SS.FF9'))"),
        "zoned": ("timestamp with time zone", "LTRIM(TO_CHAR(\"ZONED\", 'SYYYY-MM-DD HH24:MI:SS.FF9TZH:TZM'))"),
        "here": ("timestamp with local time zone", "LTRIM(TO_CHAR(\"HERE\", 'SYYYY-MM-DD HH24:MI:SS.FF9TZH:TZM'))"),
        "for_how_long": ("interval day to second", 'TO_CHAR("FOR_HOW_LONG")'),
        "raw_one": ("raw(16)", 'RAWTOHEX("RAW_ONE")'),
        "doc": ("json", 'JSON_SERIALIZE("DOC" RETURNING CLOB)'),
        "SELECT": ("clob", '"SELECT"'),
        "ratio": ("binary_double", '"RATIO"'),
    }
    assert [one.row(1) for one in frames] == [(None,) * 13]
    assert driver.sizes == [rows_of_width(13 * 40)]
    for sql in driver.asked:
        assert (
            sql.startswith("SET")
            or sql == "CLOSE"
            or sqlglot.parse_one(sql.replace(" RETURNING CLOB", ""), dialect="oracle")
        )


def test_rows_that_oracles_driver_would_round_or_cannot_bring_as_arrow_come_as_values(opened: Any) -> None:
    for kind in (oracledb.DB_TYPE_NUMBER, oracledb.DB_TYPE_BFILE, oracledb.DB_TYPE_OBJECT):
        driver = oracle([("A", kind, None, None, None)], answers={"FROM t": [(Decimal("1.10"),)]})
        driver.described = {"WHERE 1 = 0": [("C0", kind, None, None, None, None, True)]}
        with opened("oracle", driver) as reader:
            (frame,) = reader.batches("SELECT a AS c0 FROM t", ["a"])
        assert frame["a"].to_list() == ["1.10"]
        assert not driver.sizes


MOMENTS = [
    ("oracle", "2026-07-01 12:00:00", "datetime", "TO_DATE('2026-07-01 12:00:00', 'SYYYY-MM-DD HH24:MI:SS')"),
    ("oracle", "2026-07-01", "datetime", "TO_DATE('2026-07-01 00:00:00', 'SYYYY-MM-DD HH24:MI:SS')"),
    ("oracle", "2026-07-01T12:00:00.5", "timestamp", "TO_TIMESTAMP('2026-07-01 12:00:00.500000000', "),
    ("oracle", "2026-07-01 12:00:00+02:00", "timestamp with time zone", "('2026-07-01 12:00:00.000000000+02:00', "),
    ("oracle", "it's", "timestamp", "TO_TIMESTAMP('it''s', "),
    ("oracle", "12.50", "number(10,2)", "12.50"),
    ("sqlserver", "12.50", "decimal(10,2)", "12.50"),
    ("sqlserver", "2026-07-01", "datetime2(3)", "CAST(N'2026-07-01' AS datetime2(3))"),
    ("sqlserver", "2026-07-01", "datetime", "CAST(CAST(N'2026-07-01' AS datetime2(7)) AS datetime)"),
    ("sqlserver", "it's", "date", "CAST(N'it''s' AS date)"),
]


@pytest.mark.parametrize(("kind", "value", "type_", "sql"), MOMENTS)
def test_a_cursors_value_is_written_so_that_no_session_setting_reads_it_otherwise(
    opened: Any, kind: str, value: str, type_: str, sql: str
) -> None:
    with opened(kind, sqlserver({}) if kind == "sqlserver" else oracle([])) as reader:
        assert sql in reader.literal(value, type_)


@pytest.mark.parametrize("kind", ["sqlserver", "oracle"])
def test_a_run_asks_for_what_is_behind_the_cursor_less_the_lag(opened: Any, kind: str) -> None:
    top = {"max(": [("2026-07-01 12:00:00.1234567",)]}
    oracles = oracle([("UPDATED_AT", oracledb.DB_TYPE_TIMESTAMP, 23, 0, 6)], answers=top)
    driver = sqlserver({"updated_at": "datetime2(7)"}, answers=top) if kind == "sqlserver" else oracles
    source = DatabaseSource(connection="shop", table="orders", cursor="updated_at", lag="10m")
    with opened(kind, driver) as reader:
        (column,) = reader.describe(source.relation(reader))
        assert not is_number(column)
        asked = window(
            "shop/orders", source, column, Reached("", "updated_at", "2026-07-01 11:00:00"), reader, keyed=True
        )
        where = asked.where(reader)
    assert asked.closed
    assert (asked.low, asked.high) == ("2026-07-01 10:50:00", "2026-07-01 12:00:00.1234567")
    written = {"sqlserver": r"\[updated_at\] <= CAST", "oracle": r'"UPDATED_AT" <= TO_TIMESTAMP'}
    assert re.match(written[kind], where)
    dialect = {"sqlserver": "tsql", "oracle": "oracle"}[kind]
    assert sqlglot.parse_one(f"SELECT 1 FROM t WHERE {where}", dialect=dialect)
    assert sqlglot.parse_one(next(one for one in driver.asked if "max(" in one), dialect=dialect)


BREAKS: list[tuple[str, BaseException, str]] = [
    ("sqlserver", mssql.OperationalError("Communication link failure", "TCP Provider: Error code 0x2746"), "ended the session"),
    ("sqlserver", mssql.OperationalError("Timeout expired", "Query timeout expired HYT00"), "ended the statement"),
    ("sqlserver", mssql.OperationalError("Serialization failure", "Transaction was deadlocked (1205)"), "gave way to another"),
    ("oracle", oracledb.OperationalError(_Error("DPY-4011: the database or network closed the connection")), "ended the session"),
    ("oracle", oracledb.DatabaseError(_Error("ORA-01555: snapshot too old: rollback segment", code=1555)), "gave way to another"),
    ("oracle", oracledb.DatabaseError(_Error("DPY-4024: call timeout of 1000 ms exceeded")), "ended the statement"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "error", "said"), BREAKS)
def test_what_ends_a_stream_in_the_middle_is_said_and_can_be_repeated(
    opened: Any, kind: str, error: BaseException, said: str
) -> None:
    driver = sqlserver({"id": "int"}) if kind == "sqlserver" else oracle([("ID", oracledb.DB_TYPE_NUMBER, 39, 38, 0)])
    driver.breaks, taken = error, []

    def read() -> None:
        with opened(kind, driver) as reader:
            taken.extend(reader.batches(selected(reader, "t"), ["id"]))

    with pytest.raises(DatabaseUnreachableError, match=said):
        read()
    assert [one.height for one in taken] == [1]
