"""A DuckDB database file: Arrow all the way, one transaction."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from flowforge_resources.databases.duckdb_file import duckdb_file
from flowforge_resources.databases.readers.base import BATCH_ROWS, Reader, SourceColumn, named

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl

    from flowforge_resources.databases.connection import ConnectionFields

_NESTED = ("[]", "STRUCT", "MAP", "UNION", "]")


class DuckdbReader(Reader):
    """One transaction of one process: DuckDB has a single writer, and none while a file is read."""

    snapshot = "one transaction"

    def __init__(self, connection: ConnectionFields) -> None:
        super().__init__(connection)
        self._stack = ExitStack()
        self._session = self._stack.enter_context(duckdb_file(connection))
        self._session.execute("BEGIN TRANSACTION")

    def finite(self, column: str) -> str:
        return f"{column} IS NOT NULL AND {column}::VARCHAR NOT IN ('infinity', '-infinity', 'nan', 'inf', '-inf')"

    def describe(self, relation: str) -> list[SourceColumn]:
        found = self._session.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
        return [SourceColumn(row[0], row[1].lower(), _text(self.quote(row[0]), row[1])) for row in found]

    def rows(self, sql: str) -> list[Sequence[Any]]:
        return list(self._session.execute(sql).fetchall())

    def batches(self, sql: str, names: Sequence[str]) -> Iterator[pl.DataFrame]:
        import polars as pl

        for batch in self._session.sql(sql).to_arrow_reader(BATCH_ROWS):
            if batch.num_rows:
                yield named(pl.DataFrame(batch), names)

    def close(self) -> None:
        self._stack.close()


def _text(name: str, kind: str) -> str:
    if kind == "BLOB":
        return f"base64({name})"
    if kind.startswith(_NESTED) or kind.endswith(_NESTED):
        return f"CAST(to_json({name}) AS VARCHAR)"
    return f"CAST({name} AS VARCHAR)"
