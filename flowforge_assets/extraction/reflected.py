"""A source's tables as SQLAlchemy reflects them: types, keys, references and constraints, in FlowForge's own words."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from flowforge_resources.databases.catalog import TableName, columns, tables
from flowforge_resources.databases.engine import connected
from flowforge_resources.errors import SourceError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowforge_resources.databases.connection import ConnectionFields

_MOST_DIGITS = 38
_INT_64_DIGITS = 20


@dataclass(frozen=True)
class ReflectedColumn:
    """A column: its name there, a FlowForge type, and what its own type says of its values."""

    name: str
    type: str
    nullable: bool
    longest: int | None = None
    allowed: tuple[str, ...] = ()
    comment: str | None = None


@dataclass
class ReflectedTable:
    """A table with what its constraints say. `references`: columns, other table, its columns."""

    name: TableName
    columns: list[ReflectedColumn]
    keys: tuple[str, ...]
    references: list[tuple[tuple[str, ...], TableName, tuple[str, ...]]] = field(default_factory=list)
    unique: list[tuple[str, ...]] = field(default_factory=list)
    conditions: list[str] = field(default_factory=list)
    comment: str | None = None


def reflect(connection: ConnectionFields, wanted: Sequence[str]) -> tuple[str, list[ReflectedTable]]:
    """The database's dialect, and its tables: those wanted, or all that are no views.

    Raises:
        SourceError: one is not there, or there is none.
    """
    found = tables(connection)
    chosen = [_one(connection, name, found) for name in wanted] or _all_of(connection, found)
    if not chosen:
        raise SourceError(f"connection '{connection.name}'", "the user sees no table.", "Grant it `SELECT` on some.")
    if connection.kind == "duckdb":
        return "duckdb", [_of_duckdb(connection, one) for one in chosen]
    import sqlalchemy

    with connected(connection) as session, warnings.catch_warnings():
        warnings.simplefilter("ignore", sqlalchemy.exc.SAWarning)  # of types it does not know, which are text to us
        looked = sqlalchemy.inspect(session)
        return session.dialect.name, [_reflected(looked, one) for one in chosen]


def _all_of(connection: ConnectionFields, found: Sequence[TableName]) -> list[TableName]:
    """The tables that hold rows of their own: no views, no partitions of another one."""
    tables = [one for one in found if not one.is_view]
    if connection.kind == "duckdb":
        return tables
    with connected(connection) as session:
        if session.dialect.name != "postgresql":
            return tables
        parts = {TableName(*row) for row in session.exec_driver_sql(_PARTITIONS)}
    return [one for one in tables if one not in parts]


_PARTITIONS = (
    "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relispartition"
)


def _one(connection: ConnectionFields, name: str, found: Sequence[TableName]) -> TableName:
    by_name = {one.name: one for one in found} | {said: one for one in found for said in (str(one), one.written)}
    if name not in by_name:
        raise SourceError(
            f"connection '{connection.name}'",
            f"there is no table {name}.{did_you_mean(name, by_name)}",
            "Correct `--tables`.",
        )
    return by_name[name]


def _reflected(looked: Any, name: TableName) -> ReflectedTable:
    where = (name.name, name.schema)
    keys = tuple(looked.get_pk_constraint(*where).get("constrained_columns") or ())
    made = ReflectedTable(name, [_column(one) for one in looked.get_columns(*where)], keys)
    for schema, table, ours, theirs in _foreign_keys(looked, where):
        made.references.append((ours, TableName(schema or name.schema, table), theirs))
    made.unique = [tuple(one["column_names"]) for one in _asked(looked.get_unique_constraints, where)]
    made.unique = [one for one in dict.fromkeys(made.unique) if set(one) != set(keys)]
    made.conditions = _conditions(looked, where)
    comment = _asked(looked.get_table_comment, where)
    made.comment = comment.get("text") if isinstance(comment, dict) else None
    return made


def _foreign_keys(
    looked: Any, where: tuple[str, str | None]
) -> Iterator[tuple[str | None, str, tuple[str, ...], tuple[str, ...]]]:
    """The foreign keys: schema (None for the same) and name of the other table, columns here and there.

    MariaDB says them in a table: SQLAlchemy reads them from `SHOW CREATE TABLE`, where 10.11.18 writes a backtick in a
    constraint's name, which is made of the table's, without doubling it.
    """
    if not getattr(looked.dialect, "is_mariadb", False):
        for one in looked.get_foreign_keys(*where):
            columns = tuple(one["constrained_columns"]), tuple(one["referred_columns"])
            yield one.get("referred_schema"), one["referred_table"], *columns
        return
    found = looked.bind.exec_driver_sql(_MARIADB_FOREIGN_KEYS, (where[1], where[0]))
    for (_, schema, table), rows in groupby(found, lambda row: row[:3]):
        ours, theirs = zip(*(row[3:] for row in rows), strict=True)
        yield schema, table, ours, theirs


_MARIADB_FOREIGN_KEYS = """
    SELECT constraint_name, nullif(referenced_table_schema, table_schema), referenced_table_name, column_name, referenced_column_name
    FROM information_schema.key_column_usage
    WHERE table_schema = coalesce(%s, DATABASE()) AND table_name = %s AND referenced_table_name IS NOT NULL
    ORDER BY constraint_name, ordinal_position
"""


def _conditions(looked: Any, where: tuple[str, str | None]) -> list[str]:
    """The CHECK constraints as SQL; of MariaDB also those that stand behind a column, which SQLAlchemy passes over."""
    if not getattr(looked.dialect, "is_mariadb", False):
        return [one["sqltext"] for one in _asked(looked.get_check_constraints, where)]
    found = looked.bind.exec_driver_sql(_MARIADB_CHECKS, (where[0],))
    return [said for (said,) in found if not said.startswith("json_valid(")]  # what its type JSON consists in


_MARIADB_CHECKS = """
    SELECT check_clause FROM information_schema.check_constraints
    WHERE constraint_schema = DATABASE() AND table_name = %s ORDER BY constraint_name
"""


def _asked(ask: Any, where: tuple[str, str | None]) -> Any:
    """An answer that not every dialect gives."""
    try:
        return ask(*where)
    except NotImplementedError:
        return []


def _column(one: dict[str, Any]) -> ReflectedColumn:
    import sqlalchemy.types as kinds

    kind = one["type"]
    allowed = tuple(getattr(kind, "enums", ()) or ())
    of_one = isinstance(kind, kinds.String) and not allowed and type(kind).__name__ != "SET"  # its length is a member's
    longest = getattr(kind, "length", None) if of_one else None
    return ReflectedColumn(
        one["name"], _word(kind), bool(one.get("nullable", True)), longest, allowed, one.get("comment")
    )


def _word(kind: Any) -> str:
    """The FlowForge type that holds every value of an SQLAlchemy type exactly; text where none does."""
    import sqlalchemy.types as kinds

    kind = getattr(kind, "data_type", kind)  # a domain's
    name = type(kind).__name__.upper()
    if isinstance(kind, kinds.Integer):
        return f"decimal({_INT_64_DIGITS},0)" if getattr(kind, "unsigned", False) and "BIGINT" in name else "integer"
    if isinstance(kind, kinds.Float) or name in ("FLOAT", "DOUBLE", "REAL", "DOUBLE_PRECISION", "BINARY_DOUBLE"):
        return "float"
    if "MONEY" in name:
        return "decimal(19,4)"
    if isinstance(kind, kinds.Numeric):
        digits, scale = getattr(kind, "precision", None), getattr(kind, "scale", None)
        return f"decimal({digits},{scale or 0})" if digits and digits <= _MOST_DIGITS else "text"
    if name == "TIME":
        # MySQL's is a length of time as well, and one with a zone is no time of ours.
        return "text" if "mysql" in type(kind).__module__ or kind.timezone else "time"
    simple = [(kinds.Boolean, "boolean"), (kinds.DateTime, "timestamp"), (kinds.Date, "date"), (kinds.Time, "time")]
    nested = [(kinds.JSON, "json"), (kinds.ARRAY, "json")]
    return next((word for base, word in (*simple, *nested) if isinstance(kind, base)), "text")


_DUCKDB_DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)")
_DUCKDB_WORDS = {
    **dict.fromkeys(("tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger"), "integer"),
    **dict.fromkeys(("float", "double"), "float"),
    **dict.fromkeys(("timestamp", "timestamp with time zone"), "timestamp"),
    **{word: word for word in ("boolean", "date", "time", "json")},
    "ubigint": f"decimal({_INT_64_DIGITS},0)",
}


def _of_duckdb(connection: ConnectionFields, name: TableName) -> ReflectedTable:
    described = columns(connection, name)
    found = [
        ReflectedColumn(
            one.name,
            one.type if _DUCKDB_DECIMAL.fullmatch(one.type) else _DUCKDB_WORDS.get(one.type, "text"),
            one.nullable,
        )
        for one in described
    ]
    return ReflectedTable(name, found, tuple(one.name for one in described if one.key))
