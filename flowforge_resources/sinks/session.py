"""One session with a target, in the terms all drivers share: statements, values beside them, and transactions.

Values go to the driver, never into a statement. SQLAlchemy opens the session and reads the catalog; what is loaded goes
to the driver itself, because only there are COPY and arrays.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from flowforge_resources.databases.duckdb_file import duckdb_file
from flowforge_resources.databases.engine import open_engine
from flowforge_resources.sinks.dialects import DuckDb, Postgres, dialect_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow as pa

    from flowforge_resources.databases.catalog import TableName
    from flowforge_resources.databases.connection import ConnectionFields
    from flowforge_resources.sinks.dialects import Dialect
    from flowforge_resources.sinks.outgoing import Outgoing


class Session:
    """Statements of one target. `raw`: the driver's connection."""

    def __init__(self, dialect: Dialect, raw: Any, inspected: Any = None) -> None:
        self.dialect, self._raw, self._inspected = dialect, raw, inspected

    def run(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run a statement; how many rows it changed."""
        cursor = self._raw.cursor()
        try:
            cursor.execute(sql, tuple(values)) if values else cursor.execute(sql)
            return int(cursor.rowcount)
        finally:
            cursor.close()

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """The rows of a query."""
        cursor = self._raw.cursor()
        try:
            cursor.execute(sql, tuple(values)) if values else cursor.execute(sql)
            return list(cursor.fetchall())
        finally:
            cursor.close()

    def number(self, sql: str, values: Sequence[Any] = ()) -> int:
        """The only value of a query that returns a number."""
        return int(self.rows(sql, values)[0][0])

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the block or nothing of it, as far as the database can take it back."""
        if self.dialect.begin:
            self.run(self.dialect.begin)
        try:
            yield
            self._end(commit=True)
        except BaseException:
            self._take_back()
            raise

    def _end(self, *, commit: bool) -> None:
        if self.dialect.begin:
            self.run("COMMIT" if commit else "ROLLBACK")
        elif commit:
            self._raw.commit()
        else:
            self._raw.rollback()

    def _take_back(self) -> None:
        """A session that is gone has taken back what it did by itself; why it went is being raised."""
        with suppress(Exception):
            self._end(commit=False)

    # -- loading --------------------------------------------------------------------------------------------------

    def load(self, staging: TableName, outgoing: Outgoing) -> None:
        """All rows into a table, batch by batch, in a transaction of its own."""
        carried = {name: self.dialect.carried(name, kind) for name, kind in outgoing.columns.items()}
        expressions = {name: said for name, said in carried.items() if said is not None}
        with self.transaction():
            self._load(staging, outgoing, expressions)

    def _load(self, staging: TableName, outgoing: Outgoing, expressions: dict[str, str]) -> None:
        if isinstance(self.dialect, Postgres):
            self._copy(self.dialect.copy(staging, list(outgoing.columns)), outgoing.batches(expressions))
            return
        put = self.dialect.put(staging, list(outgoing.columns))
        for rows in outgoing.tuples(expressions):
            cursor = self._raw.cursor()
            cursor.executemany(put, rows)
            cursor.close()

    def _copy(self, statement: str, batches: Iterable[pa.RecordBatch]) -> None:
        """By COPY: Arrow writes the CSV, in which every text is quoted and null is not."""
        from pyarrow import BufferOutputStream, csv

        options = csv.WriteOptions(include_header=False)
        with self._raw.cursor() as cursor, cursor.copy(statement) as copy:
            for batch in batches:
                sink = BufferOutputStream()
                csv.write_csv(batch, sink, options)
                copy.write(memoryview(sink.getvalue()))

    # -- the catalog ----------------------------------------------------------------------------------------------

    def columns(self, table: TableName) -> list[dict[str, Any]]:
        """Columns as SQLAlchemy's inspector describes them; none where there is no such table."""
        import sqlalchemy

        self._inspected.clear_cache()
        try:
            found: list[dict[str, Any]] = self._inspected.get_columns(table.name, table.schema)
        except sqlalchemy.exc.NoSuchTableError:
            return []
        return found

    def tables(self, schema: str | None) -> list[str]:
        """Names of the tables of a schema."""
        self._inspected.clear_cache()
        return list(self._inspected.get_table_names(schema))

    def has_view(self, table: TableName) -> bool:
        """Whether a name is a view's."""
        return table.name in self._inspected.get_view_names(table.schema)

    def unique(self, table: TableName) -> dict[str, list[str]]:
        """Columns that must be different, by the constraint's or index's name."""
        looked = self._inspected
        primary = looked.get_pk_constraint(table.name, table.schema)
        found = {primary.get("name") or "PRIMARY": primary.get("constrained_columns") or []}
        found |= {one["name"]: one["column_names"] for one in looked.get_unique_constraints(table.name, table.schema)}
        plain = [one for one in looked.get_indexes(table.name, table.schema) if one.get("unique")]
        # An index over an expression, or of some rows only, says nothing of columns alone.
        plain = [
            one
            for one in plain
            if None not in one["column_names"] and not one.get("dialect_options", {}).get("postgresql_where")
        ]
        found |= {one["name"]: one["column_names"] for one in plain}
        return {str(name): list(columns) for name, columns in found.items() if columns}

    def grants(self, table: TableName) -> list[str]:
        """Statements that grant others again what they may do with a table; only where another takes its place."""
        if not isinstance(self.dialect, Postgres):
            return []  # MySQL grants by name; for others it is documented
        ask = """
            SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END, a.privilege_type,
                a.is_grantable
            FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace, aclexplode(c.relacl) AS a
            WHERE c.relname = %s AND n.nspname = coalesce(%s, current_schema()) AND a.grantee <> c.relowner
        """
        found = self.rows(ask, [table.name, table.schema])
        self.settle()
        again = {True: " WITH GRANT OPTION", False: ""}
        return [f"GRANT {what} ON {self.dialect.table(table)} TO {who}{again[bool(on)]}" for who, what, on in found]

    def settle(self) -> None:
        """End what reading the catalog began."""
        if self._inspected is not None:
            self._inspected.bind.rollback()
        if not self.dialect.begin:
            self._raw.rollback()


class DuckSession(Session):
    """A DuckDB database file, whose connection is its own cursor."""

    def run(self, sql: str, values: Sequence[Any] = ()) -> int:
        answer = self._raw.execute(sql, list(values)).fetchall()
        return int(answer[0][0]) if answer and isinstance(answer[0][0], int) else 0

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        return list(self._raw.execute(sql, list(values)).fetchall())

    def _load(self, staging: TableName, outgoing: Outgoing, expressions: dict[str, str]) -> None:
        names = ", ".join(map(self.dialect.quote, outgoing.columns))
        for batch in outgoing.batches(expressions):
            self._raw.register("_batch", batch)
            self._raw.execute(f"INSERT INTO {self.dialect.table(staging)} ({names}) SELECT {names} FROM _batch")
            self._raw.unregister("_batch")

    def columns(self, table: TableName) -> list[dict[str, Any]]:
        ask = """
            SELECT column_name, data_type, is_nullable, column_default FROM information_schema.columns
            WHERE table_catalog = current_database() AND table_schema = ? AND table_name = ? ORDER BY ordinal_position
        """
        found = self.rows(ask, [table.schema or "main", table.name])
        return [{"name": row[0], "type": row[1], "nullable": row[2] == "YES", "default": row[3]} for row in found]

    def tables(self, schema: str | None) -> list[str]:
        ask = "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database() AND schema_name = ?"
        return [row[0] for row in self.rows(ask, [schema or "main"])]

    def has_view(self, table: TableName) -> bool:
        ask = "SELECT count(*) FROM duckdb_views() WHERE database_name = current_database() AND schema_name = ? AND view_name = ?"
        return self.number(ask, [table.schema or "main", table.name]) > 0

    def unique(self, table: TableName) -> dict[str, list[str]]:
        ask = """
            SELECT constraint_name, constraint_column_names FROM duckdb_constraints()
            WHERE database_name = current_database() AND schema_name = ? AND table_name = ?
              AND constraint_type IN ('PRIMARY KEY', 'UNIQUE')
        """
        return {row[0]: list(row[1]) for row in self.rows(ask, [table.schema or "main", table.name])}


@contextmanager
def target_session(connection: ConnectionFields) -> Iterator[Session]:
    """A session with a target for the length of the block; what drivers raise is not translated here."""
    if connection.kind == "duckdb":
        with duckdb_file(connection) as file:
            yield DuckSession(DuckDb(), file)
        return
    import sqlalchemy

    engine = open_engine(connection)
    try:
        with engine.connect() as alchemy:
            dialect = dialect_of(engine.dialect.name, engine.dialect.paramstyle)
            raw: Any = alchemy.connection.driver_connection
            if dialect.begin:
                raw.isolation_level = None  # SQLite's driver begins no transaction by itself
            session = Session(dialect, raw, sqlalchemy.inspect(alchemy))
            for statement in dialect.strict:
                session.run(statement)
            yield session
    finally:
        engine.dispose()
