"""MySQL and MariaDB: sessions by PyMySQL, rows by the bytes that it receives (`mysql_rows`).

Everything is read in transactions with a consistent snapshot. There is none that several connections could share, so for
ranges that are read at once the table is locked against writers for the moment in which all of them begin.
"""

from __future__ import annotations

from contextlib import contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, cast

from flowforge_resources.databases.engine import open_engine
from flowforge_resources.databases.readers.base import Reader, SourceColumn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl

    from flowforge_resources.databases.connection import ConnectionFields

_BINARY_CHARSET = 63
_UNSIGNED, _ZEROFILL = 32, 64
_LOCK_WAIT_S = 2
_FIRST_CLIENT_ERROR = 2000
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
    """A transaction with a consistent snapshot; others beside it for ranges."""

    snapshot = "one transaction with a consistent snapshot"

    def __init__(self, connection: ConnectionFields) -> None:
        super().__init__(connection)
        self._engine = open_engine(connection)
        self._beside = self._engine
        self._sessions: list[Any] = []
        self._idle: SimpleQueue[Any] = SimpleQueue()
        try:
            self._session = self._opened(self._engine)
            _begin(self._session)
        except BaseException:
            self.close()
            raise
        self._idle.put(self._session)

    def _opened(self, engine: Any) -> Any:
        pooled = engine.raw_connection()
        self._sessions.append(pooled)
        session = cast("Any", pooled.driver_connection)
        _run(session, "SET NAMES utf8mb4")
        session.rollback()
        return session

    def read_beside(self, relation: str, connections: int, *, agreeing: bool) -> None:
        from pymysql.err import MySQLError

        if connections == 1:
            return
        self._beside = open_engine(self.connection.model_copy(update={"pool_size": connections}))
        others = [self._opened(self._beside) for _ in range(connections - 1)]
        try:
            with self._locked(relation):
                for session in (self._session, *others):
                    _begin(session)
            self.snapshot = f"one consistent snapshot, of {connections} connections"
        except MySQLError as error:
            if not error.args or not isinstance(error.args[0], int) or error.args[0] >= _FIRST_CLIENT_ERROR:
                raise
            why = f"LOCK TABLES was refused, error {error.args[0]}"
            if agreeing:
                self.snapshot = f"one transaction with a consistent snapshot, of one connection: {why}"
                return
            # The first one's is the oldest: what it says is the highest value of a cursor, all others see too.
            for session in (self._session, *others):
                _begin(session)
            self.snapshot = f"a consistent snapshot of its own for each of {connections} connections: {why}"
        for session in others:
            self._idle.put(session)
        self.reads_side_by_side = True

    @contextmanager
    def _locked(self, relation: str) -> Iterator[None]:
        """Nobody writes to a table meanwhile. Whoever comes while we wait for writers to end waits too, so not for long.

        Raises:
            pymysql.err.MySQLError: no right to, it takes too long, or the relation is a query.
        """
        pooled = self._beside.raw_connection()
        session = cast("Any", pooled.driver_connection)
        try:
            _run(session, f"SET SESSION lock_wait_timeout = {_LOCK_WAIT_S}")
            _run(session, f"LOCK TABLES {relation} READ")
            yield
        finally:
            pooled.invalidate()  # ends the session, and its lock

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

    def texts(self, sql: str) -> list[Sequence[str | None]]:
        return [row for frame in self._frames(self._session, sql, None) for row in frame.rows()]

    def batches(self, sql: str, names: Sequence[str]) -> Iterator[pl.DataFrame]:
        session = self._idle.get_nowait()
        yield from self._frames(session, sql, names)
        self._idle.put(session)

    def _frames(self, session: Any, sql: str, names: Sequence[str] | None) -> Iterator[pl.DataFrame]:
        from pymysql.cursors import SSCursor

        from flowforge_resources.databases.readers.mysql_rows import frames

        cursor = session.cursor(SSCursor)
        try:
            cursor.execute(sql)
            fields = cursor._result.fields  # noqa: SLF001  # DB-API's description has no charset
            yield from frames(session, names or [one.name for one in fields], binary=list(map(_is_binary, fields)))
        finally:
            if cursor._result is not None:  # noqa: SLF001  # it would read the rest of the answer, also from a dead server
                cursor._result.unbuffered_active = False  # noqa: SLF001
            cursor.close()

    def close(self) -> None:
        for pooled in self._sessions:
            pooled.invalidate()
        for engine in {self._engine, self._beside}:
            engine.dispose()


def _run(session: Any, statement: str) -> None:
    with session.cursor() as cursor:
        cursor.execute(statement)


def _begin(session: Any) -> None:
    """Begin a transaction whose snapshot is taken now; one that is open ends."""
    session.rollback()
    _run(session, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    _run(session, "START TRANSACTION WITH CONSISTENT SNAPSHOT")


def _is_binary(field: Any) -> bool:
    return field.charsetnr == _BINARY_CHARSET and field.type_code in (*_BLOBS, *_TEXTS, _GEOMETRY)


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
    """SQL for what is the column's text on the wire: most go as they are.

    That costs the server nothing, and its functions make NULL of what is larger than its `max_allowed_packet`.
    """
    code = field.type_code
    if code == _BIT:
        return f"LPAD(BIN({name} + 0), {field.length}, '0')"
    if code == _GEOMETRY:
        return f"ST_AsWKB({name})"
    if code == _FLOAT:
        return f"{name} + 0e0"  # a FLOAT shows six digits of its own
    if field.flags & _ZEROFILL and code in (*_WHOLE, _DECIMAL, _DOUBLE):
        return f"{name} + 0"
    if code == _TIMESTAMP:
        since = f"DATE_ADD('1970-01-01 00:00:00', INTERVAL UNIX_TIMESTAMP({name}) SECOND)"
        return f"IF({name} = 0, CAST({name} AS CHAR), CONCAT(CAST({since} AS CHAR), '+00:00'))"
    return name
