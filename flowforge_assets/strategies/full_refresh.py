"""Full refresh: the newest full extract is the table. Rows of earlier extracts are late."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flowforge_assets.strategies.dedupe import drop_duplicates, drop_held, newest_first
from flowforge_assets.strategies.extracts import number_extracts
from flowforge_assets.strategies.fates import FATES, note_fate
from flowforge_assets.strategies.merged import Merge, count, differs, listed, same
from flowforge_assets.transforms.cast import table_columns
from flowforge_resources.duck import one_row, quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from flowforge_assets.bronze.extract_files import EmptyExtract
    from flowforge_assets.table_spec import TableSpec
    from flowforge_checks.books import Books
    from flowforge_checks.gate import Gate


def full_refresh(
    connection: duckdb.DuckDBPyConnection,
    spec: TableSpec,
    gate: Gate,
    current: str | None,
    empty: Sequence[EmptyExtract] = (),
) -> Merge:
    """Replace the table by the newest extract of which a row passes; without such an extract it stays.

    An extract without a row counts only where the table allows it.
    """
    books = drop_held(connection, gate)
    extracts = number_extracts(connection, spec, empty)
    merged = _newest(connection, spec, books, current, [one.number for one in extracts if one.counts_empty(spec)])
    return replace(merged, ends_empty=bool(extracts) and extracts[-1].rows == 0)


def _newest(
    connection: duckdb.DuckDBPyConnection, spec: TableSpec, books: Books, current: str | None, emptied: Sequence[int]
) -> Merge:
    passing = "extract_row ANTI JOIN loser USING (_rid)"
    newest = max([one_row(connection, f"SELECT max(extract) FROM {passing}")[0] or 0, *emptied]) or None
    columns = listed(table_columns(spec))
    if newest is None and current is not None:
        before = count(connection, current)
        return Merge(f"SELECT {columns} FROM {current}", replace(books, rows_before=before), changed=False)
    books = replace(books, late=note_fate(connection, "late", f"{passing} WHERE extract < {newest or 0}"))
    connection.execute(f"INSERT INTO loser SELECT _rid FROM {FATES}")
    if spec.keys:
        books = drop_duplicates(connection, spec, books, newest_first(spec))
    select = f"SELECT {columns} FROM typed ANTI JOIN loser USING (_rid)"
    if current is None or not spec.keys:
        return _replaced(connection, select, books, current)
    return _compared(connection, spec, select, books, current)


def _replaced(connection: duckdb.DuckDBPyConnection, select: str, books: Books, current: str | None) -> Merge:
    """Without keys no row is the same as before: all rows go, all rows come."""
    before = 0 if current is None else count(connection, current)
    inserted = count(connection, "verdict ANTI JOIN loser USING (_rid)")
    return Merge(select, replace(books, inserted=inserted, rows_before=before, rows_removed=before), changed=True)


def _compared(connection: duckdb.DuckDBPyConnection, spec: TableSpec, select: str, books: Books, current: str) -> Merge:
    first = quote(spec.keys[0])
    changed = differs((one.name for one in spec.stored_columns), "d", "c")
    fate = f"CASE WHEN d.{first} IS NULL THEN 'rows_removed' WHEN c.{first} IS NULL THEN 'inserted' WHEN {changed} THEN 'updated' ELSE 'unchanged' END"
    arrived = "(FROM typed ANTI JOIN loser USING (_rid)) d"
    known = f"JOIN {current} c ON {same(spec.keys, 'd', 'c')}"
    found = connection.execute(f"SELECT {fate} AS fate, count(*) FROM {arrived} FULL {known} GROUP BY fate").fetchall()
    books = replace(books, rows_before=count(connection, current), **dict(found))
    fates = f"(FROM {FATES} UNION ALL SELECT d._rid, {fate} FROM {arrived} LEFT {known})"
    return Merge(select, books, changed=books.inserted + books.updated + books.rows_removed > 0, fates=fates)
