"""A side of a reconciliation that lies in a database: aggregated there; of rows, only the asked values are fetched, in batches.

Expressions are written in DuckDB's SQL, as on every side, and translated. Values come as the text that bronze would hold
of them, and get their type back here; what a type of DuckDB cannot hold (`infinity`, `0000-00-00`) is null.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Any

from flowforge_resources.duck import quote
from flowforge_resources.errors import SourceError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from flowforge_resources.databases.readers.base import Reader

_DIALECTS = {
    "postgres": "postgres",
    "postgresql": "postgres",
    "mysql": "mysql",
    "mariadb": "mysql",
    "sqlserver": "tsql",
    "mssql": "tsql",
    "oracle": "oracle",
    "sqlite": "sqlite",
    "duckdb": "duckdb",
}
_DECIMAL = re.compile(r"(?:numeric|decimal)\((\d+),\s*(\d+)\).*")
_MOST_DIGITS = 38
_FETCHED = count()


@dataclass(frozen=True)
class DatabaseSide:
    """Rows of a table or query as a reader's relation. `name`: what people call it, for errors."""

    name: str
    reader: Reader
    relation: str
    connection: duckdb.DuckDBPyConnection
    _columns: dict[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._columns.update({one.name: one.type for one in self.reader.describe(self.relation)})

    def aggregate(self, values: Sequence[str], group_by: Sequence[str], where: str) -> list[tuple[Any, ...]]:
        """As declared by `Side`; moments in UTC, without a zone."""
        groups = [self._there(one) for one in group_by]
        listed = ", ".join([*groups, *(self._there(one) for one in values)])
        grouped = f" GROUP BY {', '.join(groups)}" if groups else ""
        rows = self.reader.rows(f"SELECT {listed} FROM {self.relation}{self._condition(where)}{grouped}")
        return [tuple(_without_zone(value) for value in row) for row in rows]

    def columns(self, values: Sequence[tuple[str, str]], where: str) -> str:
        """As declared by `Side`: a temporary table of this connection."""
        listed = ", ".join(f"{self._there(sql)} AS {self.reader.quote(name)}" for name, sql in values)
        asked = self.reader.query(f"SELECT {listed} FROM {self.relation}{self._condition(where)}")
        described = self.reader.describe(asked)
        names = [name for name, _ in values]
        texts = ", ".join(
            f"{one.text} AS {self.reader.quote(name)}" for name, one in zip(names, described, strict=True)
        )
        typed = ", ".join(_typed(name, one.type) for name, one in zip(names, described, strict=True))
        target, batch = (f"_fetched_{word}_{next(_FETCHED)}" for word in ("rows", "batch"))
        empty = ", ".join(f"NULL::VARCHAR AS {quote(name)}" for name in names)
        self.connection.execute(f"CREATE TEMP TABLE {target} AS SELECT {typed} FROM (SELECT {empty}) WHERE FALSE")
        for frame in self.reader.batches(f"SELECT {texts} FROM {asked}", names):
            self.connection.register(batch, frame)
            self.connection.execute(f"INSERT INTO {target} SELECT {typed} FROM {batch}")
            self.connection.unregister(batch)
        return target

    def names(self) -> list[str]:
        """As declared by `Side`."""
        return list(self._columns)

    def _condition(self, where: str) -> str:
        return "" if where == "TRUE" else f" WHERE {self._there(where)}"

    def _there(self, sql: str) -> str:
        """An expression of DuckDB's as the database takes it, columns by their exact names.

        Raises:
            SourceError: it is none, or names a column that is not there.
        """
        import sqlglot
        from sqlglot import exp

        by_name = {name.lower(): name for name in self._columns}
        try:
            tree = sqlglot.parse_one(sql, read="duckdb")
        except sqlglot.errors.SqlglotError:
            raise SourceError(self.name, f"`{sql}` is no SQL expression.", "Correct the reconciliation.") from None
        for column in tree.find_all(exp.Column):
            exact = column.name if column.name in self._columns else by_name.get(column.name.lower())
            if exact is None:
                hint = did_you_mean(column.name, self._columns)
                raise SourceError(self.name, f"it has no column '{column.name}'.{hint}", "Correct the reconciliation.")
            column.set("this", exp.to_identifier(self.reader.stored(exact), quoted=True))
        return tree.sql(dialect=_DIALECTS.get(getattr(self.reader, "dialect", self.reader.connection.kind)))


def _without_zone(value: Any) -> Any:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    return value


def _typed(name: str, kind: str) -> str:
    """A text as the type of DuckDB's that holds what the source's type does; text where none is sure to."""
    quoted, decimal = quote(name), _DECIMAL.fullmatch(kind)
    if decimal and int(decimal[1]) <= _MOST_DIGITS:
        return f"TRY_CAST({quoted} AS DECIMAL({decimal[1]},{decimal[2]})) AS {quoted}"
    if "timestamp" in kind or "datetime" in kind:
        return f"CASE WHEN {quoted} LIKE '%+%' THEN TRY_CAST({quoted} AS TIMESTAMPTZ) AT TIME ZONE 'UTC' ELSE TRY_CAST({quoted} AS TIMESTAMP) END AS {quoted}"
    word = kind.partition("(")[0].split(" ")[0]
    sort = "VARCHAR" if "interval" in kind else _SORTS.get(word, "VARCHAR")
    return f"TRY_CAST({quoted} AS {sort}) AS {quoted}"


_SORTS = {
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "integer", "bigint", "serial", "year"), "HUGEINT"),
    **dict.fromkeys(("float", "double", "real"), "DOUBLE"),
    "boolean": "BOOLEAN",
    "date": "DATE",
}
