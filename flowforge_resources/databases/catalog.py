"""What a database holds: its tables, their columns, and a few rows; and whether a connection works, step by step."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowforge_resources.databases.duckdb_file import duckdb_file
from flowforge_resources.databases.engine import connected
from flowforge_resources.databases.trouble import in_words
from flowforge_resources.errors import SourceError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowforge_resources.databases.connection import ConnectionFields

_PARTS = re.compile(r'"(?:[^"]|"")*"|[^."]+')
_OWN_SCHEMAS = frozenset({"information_schema", "pg_catalog", "mysql", "performance_schema", "sys", "pg_toast"})


@dataclass(frozen=True)
class TableName:
    """A table or view, by schema where the database has them."""

    schema: str | None
    name: str
    is_view: bool = False

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name

    @classmethod
    def parse(cls, written: str) -> TableName:
        """`orders`, `public.orders`, or with quotes around a part that holds a dot or, twice, a quote: `"my.schema"."a""b"`."""
        parts = [one[1:-1].replace('""', '"') if one.startswith('"') else one for one in _PARTS.findall(written)]
        return cls(".".join(parts[:-1]) or None, parts[-1] if parts else "")

    @property
    def written(self) -> str:
        """As `parse` takes it."""
        parts = [part for part in (self.schema, self.name) if part]
        return ".".join('"' + part.replace('"', '""') + '"' if set(part) & {".", '"'} else part for part in parts)


@dataclass(frozen=True)
class ColumnInfo:
    """A column as the database describes it."""

    name: str
    type: str
    nullable: bool = True
    key: bool = False


@dataclass(frozen=True)
class Rows:
    """A few rows of a table."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


def server_version(connection: ConnectionFields) -> str:
    """Connect, ask the smallest question, and say who answered.

    Raises:
        DatabaseRefusedError, DatabaseUnreachableError, SecretError, MissingDriverError: in words what is wrong.
    """
    if connection.kind == "duckdb":
        with in_words(connection), duckdb_file(connection) as found:
            return str((found.execute("SELECT version()").fetchone() or ("",))[0])
    import sqlalchemy

    with connected(connection) as session:
        ask = "SELECT 1 FROM dual" if session.dialect.name == "oracle" else "SELECT 1"
        session.execute(sqlalchemy.text(ask)).scalar()
        version = session.dialect.server_version_info
        return ".".join(str(one) for one in version) if version else session.dialect.name


def tables(connection: ConnectionFields) -> list[TableName]:
    """Every table and view that the user may see, those of the database itself left out."""
    if connection.kind == "duckdb":
        return [TableName(*row) for row in _duckdb_rows(connection, _DUCKDB_TABLES)]
    import sqlalchemy

    with connected(connection) as session:
        looked = sqlalchemy.inspect(session)
        found = []
        for schema in _schemas(looked, session.dialect.name):
            shown = None if session.dialect.name == "sqlite" else schema
            found += [TableName(shown, name) for name in looked.get_table_names(schema)]
            found += [TableName(shown, name, is_view=True) for name in looked.get_view_names(schema)]
        return sorted(found, key=str)


def _schemas(looked: Any, dialect: str) -> list[str | None]:
    if dialect == "sqlite":
        return [None]
    if dialect in ("mysql", "mariadb", "oracle"):
        return [looked.default_schema_name]
    return [name for name in looked.get_schema_names() if name.lower() not in _OWN_SCHEMAS]


def columns(connection: ConnectionFields, table: TableName) -> list[ColumnInfo]:
    """The columns of a table, in order.

    Raises:
        SourceError: there is no such table; the nearest name is suggested.
    """
    if connection.kind == "duckdb":
        name = [table.schema or "main", table.name]
        found = [ColumnInfo(*row) for row in _duckdb_rows(connection, _DUCKDB_COLUMNS, name)]
        if not found:
            raise _no_table(connection, table)
        return found
    import sqlalchemy

    with connected(connection) as session:
        looked = sqlalchemy.inspect(session)
        try:
            described = looked.get_columns(table.name, table.schema)
            keys = looked.get_pk_constraint(table.name, table.schema).get("constrained_columns") or []
        except sqlalchemy.exc.NoSuchTableError:
            described = []
        dialect = session.dialect
        told = [(one, _type_text(one["type"], dialect)) for one in described]
    if not told:
        raise _no_table(connection, table)
    return [ColumnInfo(one["name"], kind, bool(one.get("nullable", True)), one["name"] in keys) for one, kind in told]


def _type_text(kind: Any, dialect: Any) -> str:
    import sqlalchemy

    try:
        return str(kind.compile(dialect=dialect)).lower()
    except sqlalchemy.exc.CompileError:
        return type(kind).__name__.lower()


def _no_table(connection: ConnectionFields, table: TableName) -> SourceError:
    known = [str(one) for one in tables(connection)]
    return SourceError(
        f"connection '{connection.name}'",
        f"there is no table {table}.{did_you_mean(str(table), known) if known else ' The user sees no table at all.'}",
        "Correct the name, or grant the user `SELECT` on it.",
    )


def preview(connection: ConnectionFields, table: TableName, limit: int = 10) -> Rows:
    """The first rows of a table, as the driver returns them."""
    if connection.kind == "duckdb":
        from flowforge_resources.duck import quote

        columns(connection, table)
        with in_words(connection), duckdb_file(connection) as found:
            answer = found.execute(f"FROM {quote(table.schema or 'main')}.{quote(table.name)} LIMIT {int(limit)}")
            return Rows([one[0] for one in answer.description or ()], answer.fetchall())
    import sqlalchemy

    names = [one.name for one in columns(connection, table)]
    with connected(connection) as session:
        stored = sqlalchemy.table(table.name, *(sqlalchemy.column(name) for name in names), schema=table.schema)
        shown = session.execute(sqlalchemy.select(stored).limit(limit))
        return Rows(list(shown.keys()), [tuple(row) for row in shown])


def _duckdb_rows(connection: ConnectionFields, sql: str, parameters: Sequence[str] = ()) -> list[Any]:
    with in_words(connection), duckdb_file(connection) as found:
        return found.execute(sql, list(parameters)).fetchall()


_DUCKDB_TABLES = """
    SELECT table_schema, table_name, table_type = 'VIEW' FROM information_schema.tables
    WHERE table_catalog = current_database() AND table_schema NOT IN ('information_schema', 'pg_catalog') ORDER BY ALL
"""
_DUCKDB_COLUMNS = """
    SELECT column_name, lower(data_type), is_nullable = 'YES', coalesce(column_name IN (
        SELECT unnest(constraint_column_names) FROM duckdb_constraints() AS made
        WHERE made.constraint_type = 'PRIMARY KEY' AND made.schema_name = table_schema AND made.table_name = c.table_name
          AND made.database_name = current_database()
    ), FALSE)
    FROM information_schema.columns AS c
    WHERE table_catalog = current_database() AND table_schema = ? AND table_name = ? ORDER BY ordinal_position
"""
