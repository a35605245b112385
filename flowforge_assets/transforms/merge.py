"""The upsert: rows that passed the gate, merged into the published table by key. Writes a local file, and the books.

The hash of a key only finds rows that may be equal; keys themselves decide. Wide rows are read once to be judged and
once to be written, and never sorted or grouped.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flowforge_assets.transforms.cast import table_columns
from flowforge_checks.books import Books
from flowforge_resources.duck import one_row, quote, text_list

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import duckdb

    from flowforge_assets.table_spec import TableSpec
    from flowforge_checks.gate import Gate


@dataclass(frozen=True)
class Merge:
    """The next version of a table as a query, and the account of how it came about."""

    select: str
    books: Books
    changed: bool


def merge(connection: duckdb.DuckDBPyConnection, spec: TableSpec, gate: Gate, current: Sequence[Path]) -> Merge:
    """Decide what becomes of every row of the batch.

    Args:
        connection: holds the view `typed` and the gate's table `verdict`.
        spec: the table.
        gate: the verdict on the batch.
        current: local files of what is published and may change; none for a table that has no version.
    """
    quarantined, deduplicated = _drop_losers(connection, spec, gate)
    books = Books(read=gate.read, quarantined=quarantined, deduplicated=deduplicated)
    if not current:
        return _first_load(connection, spec, books)
    return _upsert(connection, spec, books, f"read_parquet({text_list([str(path) for path in current])})")


def _drop_losers(connection: duckdb.DuckDBPyConnection, spec: TableSpec, gate: Gate) -> tuple[int, int]:
    """Fill the table `loser` with the rows that do not reach the merge: held ones, and all but the last of a key."""
    connection.execute(f"CREATE TABLE loser AS SELECT _rid FROM verdict WHERE {gate.held}")
    quarantined = int(one_row(connection, "SELECT count(*) FROM loser")[0])
    connection.execute(
        f"CREATE TABLE contested AS SELECT _rid FROM verdict WHERE NOT ({gate.held}) AND _h IN "
        f"(SELECT _h FROM verdict WHERE NOT ({gate.held}) GROUP BY _h HAVING count(*) > 1)"
    )
    keys = ", ".join(quote(key) for key in spec.keys)
    latest = ", ".join([*(f"{quote(column)} DESC NULLS LAST" for column in spec.sequence_by), "_rid DESC"])
    deduplicated = connection.execute(
        f"INSERT INTO loser SELECT _rid FROM typed WHERE _rid IN (SELECT _rid FROM contested) "
        f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {latest}) > 1"
    ).fetchall()[0][0]
    return quarantined, int(deduplicated)


def _columns(spec: TableSpec, of: str = "") -> str:
    prefix = f"{of}." if of else ""
    return ", ".join(prefix + quote(name) for name in table_columns(spec))


def _first_load(connection: duckdb.DuckDBPyConnection, spec: TableSpec, books: Books) -> Merge:
    losers = books.quarantined + books.deduplicated
    survivors = "typed ANTI JOIN loser USING (_rid)" if losers else "typed"
    inserted = int(one_row(connection, "SELECT count(*) FROM verdict ANTI JOIN loser USING (_rid)")[0])
    return Merge(f"SELECT {_columns(spec)} FROM {survivors}", replace(books, inserted=inserted), changed=True)


def _upsert(connection: duckdb.DuckDBPyConnection, spec: TableSpec, books: Books, current: str) -> Merge:
    connection.execute(f"CREATE TABLE delta AS SELECT _rid, {_columns(spec)} FROM typed ANTI JOIN loser USING (_rid)")
    same_key = " AND ".join(f"d.{quote(key)} = c.{quote(key)}" for key in spec.keys)
    connection.execute(
        f"CREATE TABLE fate AS SELECT d._rid, {_fate(spec)} AS fate FROM delta d LEFT JOIN {current} c ON {same_key}"
    )
    counts = dict(connection.execute("SELECT fate, count(*) FROM fate GROUP BY fate").fetchall())
    before = int(one_row(connection, f"SELECT count(*) FROM {current}")[0])
    books = replace(books, rows_before=before, **counts)
    keys = ", ".join(quote(key) for key in spec.keys)
    replaced = f"(SELECT {keys} FROM delta SEMI JOIN (FROM fate WHERE fate = 'updated') USING (_rid))"
    arrived = "delta SEMI JOIN (FROM fate WHERE fate IN ('updated', 'inserted')) USING (_rid)"
    select = (
        f"SELECT {_columns(spec)} FROM {current} ANTI JOIN {replaced} USING ({keys}) "
        f"UNION ALL SELECT {_columns(spec)} FROM {arrived}"
    )
    return Merge(select, books, changed=books.inserted + books.updated > 0)


def _fate(spec: TableSpec) -> str:
    """SQL: what becomes of an arriving row `d` given the published row `c` of its key, if any."""
    each = [f"d.{quote(one.name)} IS DISTINCT FROM c.{quote(one.name)}" for one in spec.columns]
    differs = " OR ".join([*each, *spec.moved("c", "d")])
    late = f"WHEN {_older(spec)} THEN 'late' " if spec.sequence_by else ""
    return f"CASE WHEN c.{quote(spec.keys[0])} IS NULL THEN 'inserted' {late}WHEN {differs} THEN 'updated' ELSE 'unchanged' END"


def _older(spec: TableSpec) -> str:
    """SQL: `d` comes before `c` in the declared order, the first column that differs deciding; null is oldest."""
    clauses, equal = [], ""
    for column in spec.sequence_by:
        d, c = f"d.{quote(column)}", f"c.{quote(column)}"
        clauses.append(f"({equal}({d} < c.{quote(column)} OR ({d} IS NULL AND {c} IS NOT NULL)))")
        equal += f"{d} IS NOT DISTINCT FROM {c} AND "
    return f"({' OR '.join(clauses)})"
