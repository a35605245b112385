"""Any database that SQLAlchemy reaches: rows by its driver, turned into text one by one. SQLite, SQL Server, Oracle as well.

What SQL Server and Oracle are asked to turn into text themselves is in `TEXT_OF`: their drivers would round it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowforge_resources.databases.engine import open_engine
from flowforge_resources.databases.readers.base import BATCH_ROWS, Reader, SourceColumn, text_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import polars as pl

    from flowforge_resources.databases.connection import ConnectionFields


class AlchemyReader(Reader):
    """One transaction on one connection; whether that is a snapshot is the database's affair."""

    def __init__(self, connection: ConnectionFields) -> None:
        super().__init__(connection)
        self._engine = open_engine(connection)
        try:
            self._session = self._engine.connect().execution_options(stream_results=True)
            if self._engine.dialect.name == "sqlite":
                self._session.exec_driver_sql("BEGIN")
                self.snapshot = "one transaction"
        except BaseException:
            self._engine.dispose()
            raise

    @property
    def dialect(self) -> str:
        """SQLAlchemy's name of the kind of database."""
        return self._engine.dialect.name

    def quote(self, identifier: str) -> str:
        return str(self._engine.dialect.identifier_preparer.quote_identifier(identifier))

    def query(self, sql: str) -> str:
        alias = "source" if self.dialect == "oracle" else "AS source"
        return f"({sql.strip().rstrip(';')}\n) {alias}"

    def literal(self, value: str, kind: str) -> str:
        from decimal import Decimal, InvalidOperation

        try:
            return format(Decimal(value), "f")
        except InvalidOperation:
            pass
        if self.dialect in ("mssql", "oracle"):
            return f"CAST({self.text_literal(value)} AS {kind})"
        return self.text_literal(value)

    def describe(self, relation: str) -> list[SourceColumn]:
        with self._session.exec_driver_sql(f"SELECT * FROM {relation} WHERE 1 = 0") as empty:
            found = empty.cursor.description if empty.cursor else ()
        types = self._declared(relation)
        text = TEXT_OF.get(self.dialect, _as_it_is)
        return [
            SourceColumn(one[0], kind, text(self.quote(one[0]), kind))
            for one in found
            for kind in [types.get(one[0]) or getattr(one[1], "__name__", str(one[1] or "any")).lower()]
        ]

    def _declared(self, relation: str) -> dict[str, str]:
        """The types of a table's columns as it declares them; nothing of a query."""
        if self.dialect != "sqlite" or relation.startswith("("):
            return {}
        rows = self._session.exec_driver_sql(f"PRAGMA table_info({relation})").fetchall()
        return {row[1]: str(row[2]).lower() or "any" for row in rows}

    def rows(self, sql: str) -> list[Sequence[Any]]:
        return [tuple(row) for row in self._session.exec_driver_sql(sql.replace("%", "%%") if self._percent else sql)]

    @property
    def _percent(self) -> bool:
        return self._engine.dialect.paramstyle in ("format", "pyformat")

    def batches(self, sql: str, names: Sequence[str]) -> Iterator[pl.DataFrame]:
        with self._session.exec_driver_sql(sql.replace("%", "%%") if self._percent else sql) as answer:
            for rows in answer.partitions(BATCH_ROWS):
                yield text_frame(rows, names)

    def close(self) -> None:
        self._session.close()
        self._engine.dispose()


def _as_it_is(name: str, _kind: str) -> str:
    return name


def sqlserver_text(name: str, kind: str) -> str:
    """SQL Server: styles that lose nothing."""
    style = next((style for word, style in _SQLSERVER_STYLES if word in kind), None)
    if kind in ("bytes", "binary", "varbinary", "image", "rowversion", "timestamp"):
        return f"(SELECT CAST({name} AS varbinary(max)) AS b FOR XML PATH(''), BINARY BASE64)"
    return f"CONVERT(nvarchar(max), {name}{f', {style}' if style else ''})"


_SQLSERVER_STYLES = (("money", 2), ("float", 3), ("real", 3), ("datetimeoffset", 121), ("date", 121), ("time", 121))


def oracle_text(name: str, kind: str) -> str:
    """Oracle: numbers by all their digits; moments by the formats of the session; raw bytes in hex."""
    if "number" in kind:
        return f"TO_CHAR({name}, 'TM9')"
    if "raw" in kind:
        return f"RAWTOHEX({name})"
    if any(word in kind for word in ("date", "timestamp", "interval")):
        return f"TO_CHAR({name})"
    return name


TEXT_OF: dict[str, Callable[[str, str], str]] = {"mssql": sqlserver_text, "oracle": oracle_text}
