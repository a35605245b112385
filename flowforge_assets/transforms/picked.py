"""The rows of a batch that are looked at twice: fetched once, and then read instead of all rows.

Rows that quarantine holds and rows that share a key are few, and every column of them is wanted. Reading a batch for
each such question costs seconds where it has millions of rows.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from flowforge_resources.duck import one_row

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

# Above this share of the batch, keeping the rows costs more than reading them again.
_FEW = 0.05


def pick(connection: duckdb.DuckDBPyConnection, rows: str, read: int) -> None:
    """Fetch rows of `landed` into a table, for `picked_rows`; nothing where they are many.

    Args:
        connection: holds the view `landed`.
        rows: SQL for the `_rid` and `_position` of the wanted rows of `landed`.
        read: rows of the batch.
    """
    connection.execute(f"CREATE TABLE wanted_again AS {rows}")
    wanted = int(one_row(connection, "SELECT count(*) FROM wanted_again")[0])
    if not 0 < wanted <= max(_FEW * read, 1000):
        return
    # The reader of the files can skip by `_position` alone; of several files it is not enough.
    connection.execute(
        "CREATE TABLE picked AS FROM landed WHERE _position IN (SELECT _position FROM wanted_again) "
        "AND _rid IN (SELECT _rid FROM wanted_again)"
    )


@contextmanager
def picked_rows(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Let `landed`, and with it `typed`, be the picked rows only; no change where none were picked."""
    tables = "duckdb_tables() WHERE database_name = current_database() AND table_name = 'picked'"
    if not one_row(connection, f"SELECT count(*) FROM {tables}")[0]:
        yield
        return
    connection.execute("ALTER VIEW landed RENAME TO landed_in_full; CREATE VIEW landed AS FROM picked")
    try:
        yield
    finally:
        connection.execute("DROP VIEW landed; ALTER VIEW landed_in_full RENAME TO landed")
