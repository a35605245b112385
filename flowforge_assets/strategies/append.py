"""Append: every passing row is added, and nothing that is there changes. With `keys`, the first row of a key stays."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flowforge_assets.strategies.dedupe import drop_beaten, drop_duplicates, drop_held
from flowforge_assets.strategies.merged import Merge, count, differs, listed, same
from flowforge_assets.transforms.cast import table_columns

if TYPE_CHECKING:
    import duckdb

    from flowforge_assets.table_spec import TableSpec
    from flowforge_checks.books import Books
    from flowforge_checks.gate import Gate


def append(connection: duckdb.DuckDBPyConnection, spec: TableSpec, gate: Gate, current: str | None) -> Merge:
    """Add the rows of the batch."""
    books = drop_held(connection, gate)
    if spec.keys:
        books = drop_duplicates(connection, spec, books, "_rid")
    if spec.keys and current is not None:
        books = _drop_known(connection, spec, books, current)
    inserted = count(connection, "verdict ANTI JOIN loser USING (_rid)")
    before = 0 if current is None else count(connection, current)
    columns = listed(table_columns(spec))
    added = f"SELECT {columns} FROM typed ANTI JOIN loser USING (_rid)"
    select = added if current is None else f"SELECT {columns} FROM {current} UNION ALL {added}"
    return Merge(select, replace(books, inserted=inserted, rows_before=before), changed=inserted > 0 or current is None)


def _drop_known(connection: duckdb.DuckDBPyConnection, spec: TableSpec, books: Books, current: str) -> Books:
    """Add to `loser` the rows whose key the table has."""
    changed = differs((one.name for one in spec.stored_columns), "d", "c")
    connection.execute(
        f"CREATE TABLE beaten AS SELECT d._rid, NOT {changed} AS exact FROM "
        f"(FROM typed ANTI JOIN loser USING (_rid)) d JOIN {current} c ON {same(spec.keys, 'd', 'c')}"
    )
    return drop_beaten(connection, books)
