"""The plain upsert: one row a key, the newest one; what has been published before stands for all that came before."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flowforge_assets.strategies.dedupe import drop_duplicates, drop_held, newest_first
from flowforge_assets.strategies.fates import FATES
from flowforge_assets.strategies.merged import Merge, count, differs, listed, same
from flowforge_assets.transforms.cast import table_columns
from flowforge_resources.duck import quote

if TYPE_CHECKING:
    import duckdb

    from flowforge_assets.table_spec import TableSpec
    from flowforge_checks.books import Books
    from flowforge_checks.gate import Gate


def upsert(
    connection: duckdb.DuckDBPyConnection, spec: TableSpec, gate: Gate, current: str | None, known: str = ""
) -> Merge:
    """Decide what becomes of every row of the batch. `known`: relation of its rows (`_rid`) that were taken in before."""
    books = drop_duplicates(connection, spec, drop_held(connection, gate), newest_first(spec), known)
    return _first_load(connection, spec, books, known) if current is None else _merge(connection, spec, books, current)


def _first_load(connection: duckdb.DuckDBPyConnection, spec: TableSpec, books: Books, known: str) -> Merge:
    losers = books.quarantined + books.dropped + books.deduplicated
    survivors = "typed ANTI JOIN loser USING (_rid)" if losers or known else "typed"
    books = replace(books, inserted=count(connection, "verdict ANTI JOIN loser USING (_rid)"))
    return Merge(f"SELECT {listed(table_columns(spec))} FROM {survivors}", books, changed=True)


def _merge(connection: duckdb.DuckDBPyConnection, spec: TableSpec, books: Books, current: str) -> Merge:
    columns, keys = listed(table_columns(spec)), listed(spec.keys)
    connection.execute(f"CREATE TABLE delta AS SELECT _rid, {columns} FROM typed ANTI JOIN loser USING (_rid)")
    connection.execute(
        f"CREATE TABLE fate AS SELECT d._rid, {_fate(spec)} AS fate FROM delta d LEFT JOIN {current} c ON {same(spec.keys, 'd', 'c')}"
    )
    counts = dict(connection.execute("SELECT fate, count(*) FROM fate GROUP BY fate").fetchall())
    books = replace(
        books, rows_before=count(connection, current), **{**counts, "late": books.late + counts.get("late", 0)}
    )
    replaced = f"(SELECT {keys} FROM delta SEMI JOIN (FROM fate WHERE fate = 'updated') USING (_rid))"
    arrived = "delta SEMI JOIN (FROM fate WHERE fate IN ('updated', 'inserted')) USING (_rid)"
    select = (
        f"SELECT {columns} FROM {current} ANTI JOIN {replaced} USING ({keys}) UNION ALL SELECT {columns} FROM {arrived}"
    )
    fates = f"(FROM {FATES} UNION ALL SELECT _rid, fate FROM fate)"
    return Merge(select, books, changed=books.inserted + books.updated > 0, fates=fates)


def _fate(spec: TableSpec) -> str:
    """SQL: what becomes of an arriving row `d` given the published row `c` of its key, if any."""
    changed = " OR ".join([differs((one.name for one in spec.stored_columns), "d", "c"), *spec.moved("c", "d")])
    late = f"WHEN {_older(spec)} THEN 'late' " if spec.sequence_by else ""
    return f"CASE WHEN c.{quote(spec.keys[0])} IS NULL THEN 'inserted' {late}WHEN {changed} THEN 'updated' ELSE 'unchanged' END"


def _older(spec: TableSpec) -> str:
    """SQL: `d` comes before `c` in the declared order, the first column that differs deciding; null is oldest."""
    clauses, equal = [], ""
    for column in spec.sequence_by:
        d, c = f"d.{quote(column)}", f"c.{quote(column)}"
        clauses.append(f"({equal}({d} < {c} OR ({d} IS NULL AND {c} IS NOT NULL)))")
        equal += f"{d} IS NOT DISTINCT FROM {c} AND "
    return f"({' OR '.join(clauses)})"
