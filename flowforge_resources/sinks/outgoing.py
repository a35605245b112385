"""The rows of one delivery: one version of a published table, as its sink selects them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowforge_resources.duck import one_row, quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import duckdb
    import pyarrow as pa

VIEW = "outgoing"
BATCH_ROWS = 50_000
_PLAIN = (
    *("BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"),
    *("FLOAT", "DOUBLE", "DATE", "TIME", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "VARCHAR", "BLOB"),
)


@dataclass(frozen=True)
class Outgoing:
    """Rows behind a view of a DuckDB connection. `version`: the nonce of what was published."""

    connection: duckdb.DuckDBPyConnection
    version: str
    columns: Mapping[str, str]
    rows: int

    @classmethod
    def of(cls, connection: duckdb.DuckDBPyConnection, select: str, version: str) -> Outgoing:
        """The rows of a query, in types that every target knows: what is nested becomes JSON, all else its text."""
        found = {str(name): str(kind) for name, kind, *_ in connection.execute(f"DESCRIBE {select}").fetchall()}
        shown = ", ".join(f"{_plain(name, kind)} AS {quote(name)}" for name, kind in found.items())
        connection.execute(f"CREATE OR REPLACE VIEW {VIEW} AS SELECT {shown} FROM ({select}\n)")
        described = connection.execute(f"DESCRIBE {VIEW}").fetchall()
        rows = int(one_row(connection, f"SELECT count(*) FROM {VIEW}")[0])
        return cls(connection, version, {str(name): str(kind) for name, kind, *_ in described}, rows)

    def count(self, condition: str) -> int:
        """How many rows a condition of DuckDB holds for."""
        return int(one_row(self.connection, f"SELECT count(*) FROM {VIEW} WHERE {condition}")[0])

    def repeated(self, columns: Sequence[str]) -> int:
        """Rows beyond the first of each value of some columns; rows with a null among them are not compared."""
        names = ", ".join(map(quote, columns))
        whole = " AND ".join(f"{quote(name)} IS NOT NULL" for name in columns)
        ask = f"SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) AS n FROM {VIEW} WHERE {whole} GROUP BY {names})"
        return int(one_row(self.connection, ask)[0])

    def batches(self, expressions: Mapping[str, str] | None = None, rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """The rows in Arrow batches; `expressions`: DuckDB's, by column, of what a driver cannot take as it is."""
        said = expressions or {}
        shown = ", ".join(f"{said.get(name, quote(name))} AS {quote(name)}" for name in self.columns)
        yield from self.connection.sql(f"SELECT {shown} FROM {VIEW}").to_arrow_reader(rows)

    def tuples(self, expressions: Mapping[str, str] | None = None, rows: int = BATCH_ROWS) -> Iterator[list[Any]]:
        """The rows in lists of tuples of Python values."""
        for batch in self.batches(expressions, rows):
            yield list(zip(*(column.to_pylist() for column in batch.columns), strict=True))


def _plain(name: str, kind: str) -> str:
    column = quote(name)
    if kind in _PLAIN or kind.startswith("DECIMAL("):
        return column
    if kind == "HUGEINT":
        return f"CAST({column} AS DECIMAL(38,0))"
    if kind.startswith("TIMESTAMP"):  # seconds, milli- and nanoseconds
        return f"CAST({column} AS TIMESTAMP)"
    nested = kind.endswith("]") or kind.startswith(("STRUCT", "MAP"))
    return f"CAST(to_json({column}) AS VARCHAR)" if nested else f"CAST({column} AS VARCHAR)"
