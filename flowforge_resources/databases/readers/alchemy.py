"""Any database that SQLAlchemy reaches, SQLite as well: rows by its driver, turned into text one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowforge_resources.databases.engine import open_engine
from flowforge_resources.databases.readers.arrow_text import FIRST_ROWS, rows_of_next
from flowforge_resources.databases.readers.base import Reader, SourceColumn, text_frame

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl

    from flowforge_resources.databases.connection import ConnectionFields


class AlchemyReader(Reader):
    """One transaction on one connection; whether that is a snapshot is the database's affair."""

    def __init__(self, connection: ConnectionFields) -> None:
        super().__init__(connection)
        self._engine = open_engine(connection)
        try:
            self._session = self._engine.connect().execution_options(stream_results=True)
            self.snapshot = self._begin()
        except BaseException:
            self._engine.dispose()
            raise

    def _begin(self) -> str:
        """Begin the transaction; what its snapshot is, in words."""
        if self._engine.dialect.name != "sqlite":
            return ""
        self._session.exec_driver_sql("BEGIN")
        return "one transaction"

    @property
    def dialect(self) -> str:
        """SQLAlchemy's name of the kind of database."""
        return self._engine.dialect.name

    def quote(self, identifier: str) -> str:
        return str(self._engine.dialect.identifier_preparer.quote_identifier(identifier))

    def literal(self, value: str, kind: str) -> str:
        return number_or_none(value) or self.typed_literal(value, kind)

    def typed_literal(self, value: str, kind: str) -> str:  # noqa: ARG002  # who compares texts needs no type
        """A moment as a literal."""
        return self.text_literal(value)

    def describe(self, relation: str) -> list[SourceColumn]:
        types = self._declared(relation)
        return [
            SourceColumn(one[0], kind, self.quote(one[0]))
            for one in self.description(relation)
            for kind in [types.get(one[0]) or getattr(one[1], "__name__", str(one[1] or "any")).lower()]
        ]

    def description(self, relation: str) -> Sequence[Any]:
        """The columns of a relation as the driver describes them."""
        with self._session.exec_driver_sql(f"SELECT * FROM {relation} WHERE 1 = 0") as empty:
            return list(empty.cursor.description) if empty.cursor else []

    def _declared(self, relation: str) -> dict[str, str]:
        """The types of a table's columns as it declares them; nothing of a query."""
        if self.dialect != "sqlite" or relation.startswith("("):
            return {}
        rows = self._session.exec_driver_sql(f"PRAGMA table_info({relation})").fetchall()
        return {row[1]: str(row[2]).lower() or "any" for row in rows}

    def rows(self, sql: str) -> list[Sequence[Any]]:
        return [tuple(row) for row in self._session.exec_driver_sql(self._escaped(sql))]

    def _escaped(self, sql: str) -> str:
        return sql.replace("%", "%%") if self._engine.dialect.paramstyle in ("format", "pyformat") else sql

    @property
    def driver_session(self) -> Any:
        """The driver's own connection."""
        return self._session.connection.driver_connection

    def batches(self, sql: str, names: Sequence[str]) -> Iterator[pl.DataFrame]:
        with self._session.exec_driver_sql(self._escaped(sql)) as answer:
            yield from fetched(answer, names)

    def close(self) -> None:
        self._session.close()
        self._engine.dispose()


def fetched(cursor: Any, names: Sequence[str]) -> Iterator[pl.DataFrame]:
    """The rows of a cursor, some megabytes at a time."""
    wanted = FIRST_ROWS
    while rows := cursor.fetchmany(wanted):
        frame = text_frame(rows, names)
        wanted = rows_of_next(frame.height, int(frame.estimated_size()))
        yield frame


def number_or_none(value: str) -> str | None:
    """A text as a literal of a number, if it is one."""
    from decimal import Decimal, InvalidOperation

    try:
        return format(Decimal(value), "f")
    except InvalidOperation:
        return None
