"""MySQL and MariaDB: sessions by PyMySQL, rows by ConnectorX.

ConnectorX opens a session of its own, which is twice to five times as fast as any driver that ships wheels; a statement
there sees a snapshot of its own. Where several statements must see the same rows (`consistent`), or TLS is asked for, PyMySQL
reads them in one transaction instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote as percent

from flowforge_resources.databases.engine import open_engine
from flowforge_resources.databases.readers.base import BATCH_ROWS, Reader, SourceColumn, named, text_frame

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl

    from flowforge_resources.databases.connection import ConnectionFields

_BINARY_CHARSET = 63
_UNSIGNED = 32
_TINY, _SHORT, _LONG, _FLOAT, _DOUBLE, _TIMESTAMP, _LONGLONG, _INT24 = 1, 2, 3, 4, 5, 7, 8, 9
_DATE, _TIME, _DATETIME, _YEAR, _BIT, _JSON, _DECIMAL = 10, 11, 12, 13, 16, 245, 246
_BLOBS, _TEXTS, _GEOMETRY = (249, 250, 251, 252), (15, 253, 254), 255
_NAMES = {
    _TINY: "tinyint",
    _SHORT: "smallint",
    _LONG: "int",
    _FLOAT: "float",
    _DOUBLE: "double",
    _TIMESTAMP: "timestamp",
    _LONGLONG: "bigint",
    _INT24: "mediumint",
    _DATE: "date",
    _TIME: "time",
    _DATETIME: "datetime",
    _YEAR: "year",
    _BIT: "bit",
    _JSON: "json",
    _DECIMAL: "decimal",
    _GEOMETRY: "geometry",
}
_WHOLE = (_TINY, _SHORT, _LONG, _LONGLONG, _INT24)


class MysqlReader(Reader):
    """A transaction with a consistent snapshot, and ConnectorX beside it."""

    def __init__(self, connection: ConnectionFields, *, consistent: bool = False) -> None:
        super().__init__(connection)
        self._engine = open_engine(connection)
        self._pooled = self._engine.raw_connection()
        try:
            self._session = cast("Any", self._pooled.driver_connection)
            self.rows("SET NAMES utf8mb4")
            self._session.rollback()
            self.rows("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            self.rows("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        except BaseException:
            self.close()
            raise
        self._own = consistent or connection.tls not in (None, "disable", "prefer")
        self.reads_side_by_side = not self._own
        self.snapshot = "one transaction with a consistent snapshot" if self._own else ""

    def quote(self, identifier: str) -> str:
        return "`" + identifier.replace("`", "``") + "`"

    def text_literal(self, value: str) -> str:
        return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"

    def literal(self, value: str, kind: str) -> str:
        whole = kind.split(maxsplit=1)[0] in {_NAMES[code] for code in (*_WHOLE, _DECIMAL, _YEAR)}
        if whole:
            return f"CAST({self.text_literal(value)} AS DECIMAL(65, 30))"
        if kind == "timestamp":
            # A moment with its zone, in the zone of whatever session reads it.
            return f"FROM_UNIXTIME(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', {self.text_literal(value.partition('+')[0])}) / 1000000)"
        return self.text_literal(value)

    def finite(self, column: str) -> str:
        return f"{column} IS NOT NULL AND CAST({column} AS CHAR) NOT LIKE '0000-00-00%'"

    def describe(self, relation: str) -> list[SourceColumn]:
        with self._session.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {relation} LIMIT 0")
            fields = cursor._result.fields  # noqa: SLF001  # DB-API's description has neither charset nor flags
        return [SourceColumn(one.name, _type(one), _text(self.quote(one.name), one)) for one in fields]

    def rows(self, sql: str) -> list[Sequence[Any]]:
        with self._session.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def batches(self, sql: str, names: Sequence[str]) -> Iterator[pl.DataFrame]:
        if self._own:
            yield from self._by_session(sql, names)
            return
        import connectorx
        import polars as pl

        stream = connectorx.read_sql(self._url(), sql, return_type="arrow_stream", batch_size=BATCH_ROWS)
        for batch in stream:
            if batch.num_rows:
                yield named(pl.DataFrame(batch), names)

    def _by_session(self, sql: str, names: Sequence[str]) -> Iterator[pl.DataFrame]:
        from pymysql.cursors import SSCursor

        cursor = self._session.cursor(SSCursor)
        try:
            cursor.execute(sql)
            while rows := cursor.fetchmany(BATCH_ROWS):
                yield text_frame(rows, names)
        finally:
            if cursor._result is not None:  # noqa: SLF001  # it would read the rest of the answer, also from a dead server
                cursor._result.unbuffered_active = False  # noqa: SLF001
            cursor.close()

    def _url(self) -> str:
        url = self._engine.url
        login = f"{percent(url.username or '', safe='')}:{percent(str(url.password or ''), safe='')}"
        # Else it goes on through the server's Unix socket where it finds one, past whatever the address says.
        return f"mysql://{login}@{url.host}:{url.port}/{percent(url.database or '', safe='')}?prefer_socket=false"

    def close(self) -> None:
        self._pooled.invalidate()
        self._engine.dispose()


def _type(field: Any) -> str:
    """The type in words; `length` counts what is shown of a decimal: digits, point and sign."""
    name = _NAMES.get(field.type_code)
    unsigned = (
        " unsigned" if field.flags & _UNSIGNED and field.type_code in (*_WHOLE, _DECIMAL, _FLOAT, _DOUBLE) else ""
    )
    if field.type_code == _DECIMAL:
        sign = 0 if unsigned else 1
        digits = field.length - sign - (1 if field.scale else 0)
        return f"decimal({digits},{field.scale}){unsigned}"
    if name is not None:
        return name + unsigned
    binary = field.charsetnr == _BINARY_CHARSET
    return ("blob" if binary else "text") if field.type_code in _BLOBS else ("binary" if binary else "char")


def _text(name: str, field: Any) -> str:
    code = field.type_code
    if code in (*_BLOBS, *_TEXTS):
        binary = field.charsetnr == _BINARY_CHARSET
        return f"REPLACE(TO_BASE64({name}), '\\n', '')" if binary else f"CONVERT({name} USING utf8mb4)"
    if code == _BIT:
        return f"LPAD(BIN({name} + 0), {field.length}, '0')"
    if code == _GEOMETRY:
        return f"REPLACE(TO_BASE64(ST_AsWKB({name})), '\\n', '')"
    if code == _FLOAT:
        return f"CAST({name} + 0e0 AS CHAR)"  # a FLOAT shows six digits of its own
    if code == _TIMESTAMP:
        since = f"DATE_ADD('1970-01-01 00:00:00', INTERVAL UNIX_TIMESTAMP({name}) SECOND)"
        return f"IF({name} = 0, CAST({name} AS CHAR), CONCAT(CAST({since} AS CHAR), '+00:00'))"
    return f"CAST({name} AS CHAR)"
