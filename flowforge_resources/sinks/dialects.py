"""The SQL of a delivery, as each database speaks it.

Belongs here: statements, as text, of quoted names alone; values are always given beside them. Does not: their order,
and what is done when one fails (`database`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowforge_resources.duck import quote as duck_quote
from flowforge_resources.sinks.column_kinds import NewTypes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowforge_resources.databases.catalog import TableName

ANSI = NewTypes(
    *("BOOLEAN", "SMALLINT", "INTEGER", "BIGINT", "NUMERIC(20,0)", "NUMERIC({},{})", "DOUBLE PRECISION"),
    *("DATE", "TIME", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "TEXT", "VARCHAR(255)", "BLOB"),
)


class Dialect:
    """Standard SQL, for a database that has no words of its own here.

    `renames`: whether a table can take another's place in one step; where not, its rows are replaced in one transaction.
    `takes_back_ddl`: whether a transaction that fails also takes back what it renamed.
    `checks_types`: whether its columns have types that mean something. `finite`: whether it refuses NaN and infinity.
    """

    new_types = ANSI
    renames = False
    takes_back_ddl = True
    checks_types = True
    finite = False
    begin: str | None = None
    strict: tuple[str, ...] = ()

    def __init__(self, marker: str = "?") -> None:
        self._marker = marker

    # -- names and values -----------------------------------------------------------------------------------------

    def quote(self, name: str) -> str:
        """An identifier, whatever characters it holds."""
        return '"' + name.replace('"', '""') + '"'

    def table(self, table: TableName) -> str:
        """A table with its schema."""
        return f"{self.quote(table.schema)}.{self.quote(table.name)}" if table.schema else self.quote(table.name)

    def markers(self, count: int) -> str:
        """Where values go."""
        return ", ".join([self._marker] * count)

    def carried(self, name: str, kind: str) -> str | None:
        """DuckDB's expression for a column that the driver cannot take as it is."""
        del name, kind
        return None

    def differs(self, name: str, kind: str = "") -> str:
        """Whether a column of `t` and `s` differs; two nulls do not."""
        del kind
        return f"t.{self.quote(name)} IS DISTINCT FROM s.{self.quote(name)}"

    def on(self, keys: Sequence[str]) -> str:
        """Rows of `t` and `s` with the same key."""
        return " AND ".join(f"t.{self.quote(key)} = s.{self.quote(key)}" for key in keys)

    # -- tables ---------------------------------------------------------------------------------------------------

    def create(self, table: TableName, columns: Mapping[str, str], keys: Sequence[str]) -> str:
        """A new table for columns of DuckDB's types; its key is its primary key."""
        said = [
            f"{self.quote(name)} {self.new_types.of(kind, key=name in keys)}{' NOT NULL' if name in keys else ''}"
            for name, kind in columns.items()
        ]
        said += [f"PRIMARY KEY ({', '.join(map(self.quote, keys))})"] if keys else []
        return f"CREATE TABLE {self.table(table)} ({', '.join(said)})"

    def stage(self, staging: TableName, target: TableName, columns: Sequence[str]) -> str:
        """An empty table with some columns of the target, in its types and without its constraints."""
        names = ", ".join(map(self.quote, columns))
        return f"CREATE TABLE {self.table(staging)} AS SELECT {names} FROM {self.table(target)} WHERE 1 = 0"

    def stage_like(self, staging: TableName, target: TableName) -> str:
        """An empty table that is to take the target's place, with its columns, defaults, indexes and constraints."""
        raise NotImplementedError

    def prepare(self, staging: TableName, keys: Sequence[str]) -> list[str]:
        """What makes joins with a loaded staging table quick; `keys`: those that the target has an index of, if any."""
        del staging, keys
        return []

    def drop(self, table: TableName) -> str:
        """Remove a table."""
        return f"DROP TABLE {self.table(table)}"

    def rename(self, table: TableName, name: str) -> list[str]:
        """Give a table another name in its schema."""
        return [f"ALTER TABLE {self.table(table)} RENAME TO {self.quote(name)}"]

    def swap(self, target: TableName, staging: TableName, old: TableName) -> list[str]:
        """Put the staging table in the target's place."""
        return [*self.rename(target, old.name), *self.rename(staging, target.name)]

    # -- rows -----------------------------------------------------------------------------------------------------

    def put(self, table: TableName, columns: Sequence[str]) -> str:
        """Insert one row of values."""
        return f"INSERT INTO {self.table(table)} ({', '.join(map(self.quote, columns))}) VALUES ({self.markers(len(columns))})"

    def insert(self, target: TableName, staging: TableName, columns: Sequence[str], keys: Sequence[str]) -> str:
        """Insert the staged rows whose key the target does not have; all of them where no key is given."""
        names, values = (", ".join(f"{by}{self.quote(name)}" for name in columns) for by in ("", "s."))
        said = f"INSERT INTO {self.table(target)} ({names}) SELECT {values} FROM {self.named(staging, 's')}"
        if not keys:
            return said
        return f"{said} WHERE NOT EXISTS (SELECT 1 FROM {self.named(target, 't')} WHERE {self.on(keys)})"

    def update(self, target: TableName, staging: TableName, keys: Sequence[str], values: Mapping[str, str]) -> str:
        """Change the rows of the target whose staged row differs; `values`: the other columns, with the target's types."""
        return (
            f"UPDATE {self.named(target, 't')} SET {self._set(values)} FROM {self.named(staging, 's')} "
            f"WHERE {self.on(keys)} AND ({self._any_differs(values)})"
        )

    def delete_missing(self, target: TableName, staging: TableName, keys: Sequence[str]) -> str:
        """Remove the rows of the target whose key is not staged."""
        there = f"SELECT 1 FROM {self.named(staging, 's')} WHERE {self.on(keys)}"
        return f"DELETE FROM {self.named(target, 't')} WHERE NOT EXISTS ({there})"

    def clear(self, target: TableName) -> str:
        """Remove every row, in the transaction."""
        return f"DELETE FROM {self.table(target)}"

    def count(self, table: TableName) -> str:
        """How many rows a table has."""
        return f"SELECT count(*) FROM {self.table(table)}"

    def count_matched(self, target: TableName, staging: TableName, keys: Sequence[str]) -> str:
        """How many rows of the target have a staged row's key."""
        return f"SELECT count(*) FROM {self.named(target, 't')} JOIN {self.named(staging, 's')} ON {self.on(keys)}"

    def count_clashing(self, target: TableName, staging: TableName, columns: Sequence[str], keys: Sequence[str]) -> str:
        """How many staged rows share some columns with a row of the target that has another key."""
        other = f" AND NOT ({self.on(keys)})" if keys else ""
        clash = f"SELECT 1 FROM {self.named(target, 't')} WHERE {self.on(columns)}{other}"
        return f"SELECT count(*) FROM {self.named(staging, 's')} WHERE EXISTS ({clash})"

    def named(self, table: TableName, alias: str) -> str:
        """A table under a short name."""
        return f"{self.table(table)} AS {alias}"

    def _set(self, values: Mapping[str, str]) -> str:
        return ", ".join(f"{self.quote(name)} = s.{self.quote(name)}" for name in values)

    def _any_differs(self, values: Mapping[str, str]) -> str:
        return " OR ".join(self.differs(name, kind) for name, kind in values.items())


class Postgres(Dialect):
    """PostgreSQL: a COPY loads, and tables are renamed inside the transaction."""

    new_types = NewTypes(
        *("BOOLEAN", "SMALLINT", "INTEGER", "BIGINT", "NUMERIC(20,0)", "NUMERIC({},{})", "DOUBLE PRECISION"),
        *("DATE", "TIME", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "TEXT", "TEXT", "BYTEA"),
    )
    renames = True
    # Text that COPY reads; numbers and truth values are written as they are.
    _as_text = ("DECIMAL", "DATE", "TIME", "TIMESTAMP")

    def carried(self, name: str, kind: str) -> str | None:
        column = duck_quote(name)
        if kind == "BLOB":
            return rf"'\x' || hex({column})"
        return f"CAST({column} AS VARCHAR)" if kind.startswith(self._as_text) else None

    def differs(self, name: str, kind: str = "") -> str:
        # These have no equality.
        as_text = "::text" if kind.lower() in ("json", "xml", "point", "polygon", "box") else ""
        column = self.quote(name)
        return f"t.{column}{as_text} IS DISTINCT FROM s.{column}{as_text}"

    def stage(self, staging: TableName, target: TableName, columns: Sequence[str]) -> str:
        return super().stage(staging, target, columns).replace("CREATE TABLE", "CREATE UNLOGGED TABLE", 1)

    def stage_like(self, staging: TableName, target: TableName) -> str:
        return f"CREATE TABLE {self.table(staging)} (LIKE {self.table(target)} INCLUDING ALL)"

    def swap(self, target: TableName, staging: TableName, old: TableName) -> list[str]:
        lock = f"LOCK TABLE {self.table(target)} IN ACCESS EXCLUSIVE MODE"
        return [lock, *super().swap(target, staging, old), self.drop(old)]

    def prepare(self, staging: TableName, keys: Sequence[str]) -> list[str]:
        del keys
        return [f"ANALYZE {self.table(staging)}"]

    def copy(self, staging: TableName, columns: Sequence[str]) -> str:
        """Load CSV in which null is nothing and an empty text is quoted."""
        return f"COPY {self.table(staging)} ({', '.join(map(self.quote, columns))}) FROM STDIN (FORMAT csv)"


class MySql(Dialect):
    """MySQL and MariaDB: two tables change names in one statement; DDL ends a transaction."""

    new_types = NewTypes(
        *("BOOLEAN", "SMALLINT", "INTEGER", "BIGINT", "DECIMAL(20,0)", "DECIMAL({},{})", "DOUBLE"),
        *("DATE", "TIME(6)", "DATETIME(6)", "DATETIME(6)"),
        *("LONGTEXT CHARACTER SET utf8mb4", "VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "LONGBLOB"),
    )
    renames = True
    takes_back_ddl = False
    finite = True
    # A value that does not fit is refused and not cut, whatever the server is set to.
    strict = ("SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')",)

    def __init__(self) -> None:
        super().__init__("%s")

    def quote(self, name: str) -> str:
        return "`" + name.replace("`", "``") + "`"

    def differs(self, name: str, kind: str = "") -> str:
        del kind
        return f"NOT (t.{self.quote(name)} <=> s.{self.quote(name)})"

    def stage_like(self, staging: TableName, target: TableName) -> str:
        return f"CREATE TABLE {self.table(staging)} LIKE {self.table(target)}"

    def swap(self, target: TableName, staging: TableName, old: TableName) -> list[str]:
        return [
            f"RENAME TABLE {self.table(target)} TO {self.table(old)}, {self.table(staging)} TO {self.table(target)}",
            self.drop(old),
        ]

    def prepare(self, staging: TableName, keys: Sequence[str]) -> list[str]:
        names = ", ".join(map(self.quote, keys))
        return [f"ALTER TABLE {self.table(staging)} ADD PRIMARY KEY ({names})"] if keys else []

    def put(self, table: TableName, columns: Sequence[str]) -> str:
        names = ", ".join(self.quote(name).replace("%", "%%") for name in columns)
        return f"INSERT INTO {self.table(table).replace('%', '%%')} ({names}) VALUES ({self.markers(len(columns))})"

    def update(self, target: TableName, staging: TableName, keys: Sequence[str], values: Mapping[str, str]) -> str:
        changes = ", ".join(f"t.{self.quote(name)} = s.{self.quote(name)}" for name in values)
        tables = f"{self.named(target, 't')} JOIN {self.named(staging, 's')} ON {self.on(keys)}"
        return f"UPDATE {tables} SET {changes} WHERE {self._any_differs(values)}"

    def delete_missing(self, target: TableName, staging: TableName, keys: Sequence[str]) -> str:
        tables = f"{self.named(target, 't')} LEFT JOIN {self.named(staging, 's')} ON {self.on(keys)}"
        return f"DELETE t FROM {tables} WHERE s.{self.quote(keys[0])} IS NULL"


class Sqlite(Dialect):
    """SQLite: no types to speak of; decimals and moments are kept as text, exactly."""

    new_types = NewTypes(
        *("BOOLEAN", "INTEGER", "INTEGER", "INTEGER", "TEXT", "TEXT", "REAL"),
        *("DATE", "TIME", "DATETIME", "DATETIME", "TEXT", "TEXT", "BLOB"),
    )
    checks_types = False
    begin = "BEGIN IMMEDIATE"
    _as_text = ("DECIMAL", "DATE", "TIME", "TIMESTAMP", "UBIGINT")

    def carried(self, name: str, kind: str) -> str | None:
        return f"CAST({duck_quote(name)} AS VARCHAR)" if kind.startswith(self._as_text) else None

    def differs(self, name: str, kind: str = "") -> str:
        del kind
        return f"t.{self.quote(name)} IS NOT s.{self.quote(name)}"


class DuckDb(Dialect):
    """A DuckDB database file."""

    begin = "BEGIN TRANSACTION"


class SqlServer(Dialect):
    """SQL Server. Tested as text alone."""

    new_types = NewTypes(
        *("BIT", "SMALLINT", "INTEGER", "BIGINT", "DECIMAL(20,0)", "DECIMAL({},{})", "FLOAT(53)"),
        *("DATE", "TIME(6)", "DATETIME2(6)", "DATETIMEOFFSET(6)", "NVARCHAR(MAX)", "NVARCHAR(255)", "VARBINARY(MAX)"),
    )
    renames = True
    finite = True

    def quote(self, name: str) -> str:
        return "[" + name.replace("]", "]]") + "]"

    def differs(self, name: str, kind: str = "") -> str:
        del kind
        return f"EXISTS (SELECT t.{self.quote(name)} EXCEPT SELECT s.{self.quote(name)})"

    def stage(self, staging: TableName, target: TableName, columns: Sequence[str]) -> str:
        names = ", ".join(map(self.quote, columns))
        return f"SELECT TOP 0 {names} INTO {self.table(staging)} FROM {self.table(target)}"

    def stage_like(self, staging: TableName, target: TableName) -> str:
        return f"SELECT TOP 0 * INTO {self.table(staging)} FROM {self.table(target)}"

    def rename(self, table: TableName, name: str) -> list[str]:
        return [f"EXEC sp_rename {_text(self.table(table))}, {_text(name)}"]

    def swap(self, target: TableName, staging: TableName, old: TableName) -> list[str]:
        return [*super().swap(target, staging, old), self.drop(old)]

    def update(self, target: TableName, staging: TableName, keys: Sequence[str], values: Mapping[str, str]) -> str:
        tables = f"{self.named(target, 't')} JOIN {self.named(staging, 's')} ON {self.on(keys)}"
        return f"UPDATE t SET {self._set(values)} FROM {tables} WHERE {self._any_differs(values)}"

    def delete_missing(self, target: TableName, staging: TableName, keys: Sequence[str]) -> str:
        return super().delete_missing(target, staging, keys).replace("DELETE FROM", "DELETE t FROM", 1)


class Oracle(Dialect):
    """Oracle: DDL ends a transaction and no rename is undone, so rows are replaced in one. Tested as text alone."""

    new_types = NewTypes(
        *("NUMBER(1)", "NUMBER(5)", "NUMBER(10)", "NUMBER(19)", "NUMBER(20)", "NUMBER({},{})", "BINARY_DOUBLE"),
        *("DATE", "VARCHAR2(18)", "TIMESTAMP(6)", "TIMESTAMP(6) WITH TIME ZONE"),
        *("VARCHAR2(4000)", "VARCHAR2(255 CHAR)", "BLOB"),
    )
    takes_back_ddl = False

    def quote(self, name: str) -> str:
        """As written; a name in small letters is what Oracle calls it where nobody quotes it."""
        return super().quote(name.upper() if name.islower() else name)

    def markers(self, count: int) -> str:
        return ", ".join(f":{place}" for place in range(1, count + 1))

    def carried(self, name: str, kind: str) -> str | None:
        return f"CAST({duck_quote(name)} AS VARCHAR)" if kind == "TIME" else None

    def named(self, table: TableName, alias: str) -> str:
        return f"{self.table(table)} {alias}"

    def differs(self, name: str, kind: str = "") -> str:
        del kind
        return f"DECODE(t.{self.quote(name)}, s.{self.quote(name)}, 0, 1) = 1"

    def update(self, target: TableName, staging: TableName, keys: Sequence[str], values: Mapping[str, str]) -> str:
        changes = ", ".join(f"t.{self.quote(name)} = s.{self.quote(name)}" for name in values)
        return (
            f"MERGE INTO {self.named(target, 't')} USING {self.named(staging, 's')} ON ({self.on(keys)}) "
            f"WHEN MATCHED THEN UPDATE SET {changes} WHERE {self._any_differs(values)}"
        )


def _text(value: str) -> str:
    return "N'" + value.replace("'", "''") + "'"


_WAYS: dict[str, type[Dialect]] = {"sqlite": Sqlite, "duckdb": DuckDb, "mssql": SqlServer, "oracle": Oracle}


def dialect_of(name: str, paramstyle: str) -> Dialect:
    """How a database is spoken to, by SQLAlchemy's name for it and its driver's way to take values."""
    if name in ("mysql", "mariadb"):
        return MySql()
    marker = "?" if paramstyle == "qmark" else "%s"
    if name == "postgresql":
        return Postgres("%s")
    return _WAYS.get(name, Dialect)(marker)
