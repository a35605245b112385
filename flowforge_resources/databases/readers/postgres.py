"""PostgreSQL: sessions by psycopg, rows by ADBC (a binary COPY as Arrow), all in one exported snapshot."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from flowforge_resources.databases.engine import open_engine, postgres_options
from flowforge_resources.databases.readers.base import Reader, SourceColumn, named

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl
    import pyarrow as pa

    from flowforge_resources.databases.connection import ConnectionFields

# Whatever the server, the role and the database say: the text of a value depends on nothing but the value.
_TEXT = "-c datestyle=ISO,YMD -c intervalstyle=iso_8601 -c timezone=UTC -c extra_float_digits=1"
_SETTINGS = (
    "SET datestyle = 'ISO, YMD'",
    "SET intervalstyle = 'iso_8601'",
    "SET timezone = 'UTC'",
    "SET extra_float_digits = 1",
)
_BATCH_BYTES = 2 << 20
_JOIN = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
_TYPES = """
    SELECT format_type(asked.oid, asked.mod), coalesce(base.typname, kind.typname), coalesce(base.typtype, kind.typtype),
           coalesce(base.typcategory, kind.typcategory)
    FROM unnest(%s::oid[], %s::int[]) WITH ORDINALITY AS asked (oid, mod, place)
    JOIN pg_type AS kind ON kind.oid = asked.oid LEFT JOIN pg_type AS base ON base.oid = kind.typbasetype
    ORDER BY asked.place
"""


class PostgresReader(Reader):
    """A repeatable-read transaction whose snapshot every reading connection joins."""

    reads_side_by_side = True

    def __init__(self, connection: ConnectionFields) -> None:
        super().__init__(connection)
        self._engine = open_engine(connection)
        self._pooled = self._engine.raw_connection()
        try:
            self._session = cast("Any", self._pooled.driver_connection)
            self._session.rollback()
            for setting in _SETTINGS:
                self._session.execute(setting)
            self._session.commit()
            self._session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            self._exported = str(self._session.execute("SELECT pg_export_snapshot()").fetchone()[0])
        except BaseException:
            self.close()
            raise
        self.snapshot = "one exported snapshot"
        self._any_bytes = self._session.info.parameter_status("server_encoding") == "SQL_ASCII"

    def describe(self, relation: str) -> list[SourceColumn]:
        cursor = self._session.execute(f"SELECT * FROM {relation} LIMIT 0")
        found = cursor.description or ()
        oids, mods = [one.type_code for one in found], [one._fmod for one in found]  # noqa: SLF001  # the only way to a decimal's size
        types = self._session.execute(_TYPES, (oids, mods)).fetchall()
        return [
            SourceColumn(one.name, kind, self._sent(_text(self.quote(one.name), *rest)))
            for one, (kind, *rest) in zip(found, types, strict=True)
        ]

    def _sent(self, text: str) -> str:
        """SQL: a text as the server sends it; as bytes where it knows no encoding, so that they may be any."""
        return f"convert_to({text}, 'SQL_ASCII')" if self._any_bytes else text

    def texts(self, sql: str) -> list[Sequence[str | None]]:
        return [tuple(_decoded(one) if isinstance(one, bytes) else one for one in row) for row in self.rows(sql)]

    def rows(self, sql: str) -> list[Sequence[Any]]:
        return list(self._session.execute(sql.encode()).fetchall())

    def finite(self, column: str) -> str:
        return f"{column} IS NOT NULL AND {column}::text NOT IN ('infinity', '-infinity', 'NaN')"

    def batches(self, sql: str, names: Sequence[str]) -> Iterator[pl.DataFrame]:
        import polars as pl

        with _stream(
            self._uri(), [_JOIN, f"SET TRANSACTION SNAPSHOT {self.text_literal(self._exported)}"], sql
        ) as batches:
            for batch in batches:
                if batch.num_rows:
                    frame = pl.DataFrame(batch)
                    yield named(_readable(frame) if self._any_bytes else frame, names)

    def _uri(self) -> str:
        url = self._engine.url
        options = {**postgres_options(self.connection), **{name: str(value) for name, value in url.query.items()}}
        options["options"] = f"{options.get('options', '')} {_TEXT}".strip()
        login = {"host": url.host, "port": url.port, "user": url.username, "password": url.password}
        said = {**login, "dbname": url.database, **options}
        return " ".join(f"{name}={_conninfo(str(value))}" for name, value in said.items() if value is not None)

    def close(self) -> None:
        self._pooled.invalidate()
        self._engine.dispose()


def _decoded(sent: bytes) -> str:
    """Bytes of no known encoding: UTF-8 where they are, else with each other byte as an escape, a backslash and its hex."""
    return sent.decode(errors="backslashreplace")


def _readable(frame: pl.DataFrame) -> pl.DataFrame:
    """Columns of bytes as text."""
    import polars as pl

    def text(column: pl.Series) -> pl.Series:
        try:
            return column.cast(pl.String)
        except pl.exceptions.ComputeError:
            return pl.Series(column.name, [None if one is None else _decoded(one) for one in column], pl.String)

    return frame.select(text(column) for column in frame)


@contextmanager
def _stream(uri: str, before: Sequence[str], sql: str) -> Iterator[pa.RecordBatchReader]:
    """Batches of a query in a session of its own, behind statements that begin its transaction.

    By the classes below `adbc_driver_postgresql.dbapi`, which would load what we do not need (10 MB of pyarrow, 40 where pandas is installed).
    """
    import adbc_driver_postgresql as driver
    from adbc_driver_manager import AdbcConnection, AdbcStatement
    from adbc_driver_manager._reader import AdbcRecordBatchReader  # tells what broke a stream by the driver's errors

    with driver.connect(uri) as database, AdbcConnection(database) as session:
        session.set_autocommit(False)
        for statement in before:
            with AdbcStatement(session) as one:
                one.set_sql_query(statement)
                one.execute_update()
        with AdbcStatement(session) as asked:
            asked.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(_BATCH_BYTES)})
            asked.set_sql_query(sql)
            handle, _ = asked.execute_query()
            with AdbcRecordBatchReader._import_from_c(handle.address) as batches:  # noqa: SLF001  # as the `dbapi` does
                yield batches


def _conninfo(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _text(name: str, base: str, kind: str, category: str) -> str:
    if base == "bytea":
        return f"replace(encode({name}, 'base64'), E'\\n', '')"
    if base == "money":
        return f"{name}::numeric::text"
    if category == "A" or kind == "c":
        return f"to_json({name})::text"
    return f"{name}::text"
