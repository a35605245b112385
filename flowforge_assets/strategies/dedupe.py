"""Which rows of a batch do not reach the table: those the gate holds, and all but one of a key.

The hash of a key only finds rows that may be equal; keys themselves decide. Wide rows are never sorted or grouped.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flowforge_assets.strategies.fates import create_fates, note_fate
from flowforge_assets.strategies.merged import count, listed
from flowforge_assets.transforms.picked import pick, picked_rows
from flowforge_assets.transforms.pipeline import multiplies
from flowforge_checks.books import Books
from flowforge_checks.uniqueness import parts_to_sort, repeated
from flowforge_resources.duck import one_row, quote

if TYPE_CHECKING:
    import duckdb

    from flowforge_assets.table_spec import TableSpec
    from flowforge_checks.gate import Gate

# Up to this share of a batch, rows that are out already are looked at with the others.
_FEW_LOSERS = 0.02


def drop_held(connection: duckdb.DuckDBPyConnection, gate: Gate) -> Books:
    """Create the table `loser` with the rows the gate takes out: those it holds, and those it drops.

    And the view `gate_row`, with those and the ones it has as examples: all that is asked of the gate's rows later. And an
    empty table of fates (`fates`).
    """
    create_fates(connection)
    connection.execute(f"CREATE TABLE loser AS SELECT _rid FROM verdict WHERE {gate.taken_out}")
    connection.execute(f"CREATE VIEW gate_row AS SELECT _rid, _position FROM verdict WHERE {gate.looked_at_again}")
    taken_out = count(connection, "loser")
    dropped = count(connection, f"(FROM verdict WHERE {gate.dropped})") if gate.drops else 0
    return Books(read=gate.read, quarantined=taken_out - dropped, dropped=dropped)


def newest_first(spec: TableSpec) -> str:
    """SQL for an order in which the row that counts is first: by `sequence_by`, null oldest, then the last to arrive."""
    return ", ".join([*(f"{quote(column)} DESC NULLS LAST" for column in spec.sequence_by), "_rid DESC"])


def drop_duplicates(
    connection: duckdb.DuckDBPyConnection, spec: TableSpec, books: Books, order: str, known: str = ""
) -> Books:
    """Add to `loser` all rows of a key but the first in some order; of `known` rows (`_rid`), which are booked, all."""
    hashes = _repeated_hashes(connection, books.read, books.quarantined + books.dropped)
    shared = f"SELECT _rid, _position FROM verdict ANTI JOIN loser USING (_rid) WHERE _h IN ({hashes})"
    connection.execute(f"CREATE TABLE contested AS {shared}")
    if not multiplies(spec):
        pick(connection, "FROM gate_row UNION ALL FROM contested", books.read)
    if not count(connection, "contested"):
        return _without_known(connection, books, known) if known else books
    keys, values = listed(spec.keys), listed(column.name for column in spec.columns)
    with picked_rows(connection):
        connection.execute(
            f"CREATE TABLE contest AS SELECT _rid, {listed(dict.fromkeys([*spec.keys, *spec.sequence_by]))}, hash({values}) AS _ff_said "
            "FROM typed SEMI JOIN contested USING (_position, _rid)"
        )
    connection.execute(
        f"CREATE TABLE beaten AS SELECT _rid, first_value(_rid) OVER best AS winner, _ff_said = first_value(_ff_said) OVER best AS exact FROM contest "
        f"WINDOW best AS (PARTITION BY {keys} ORDER BY {order}) QUALIFY row_number() OVER best > 1"
    )
    return _without_known(connection, books, known) if known else drop_beaten(connection, books)


def _without_known(connection: duckdb.DuckDBPyConnection, books: Books, known: str) -> Books:
    """Account for the other rows alone: one that a known row beats is late."""
    late = 0
    if count(connection, "contested"):
        connection.execute("INSERT INTO loser SELECT _rid FROM beaten")
        connection.execute(f"DELETE FROM beaten WHERE _rid IN (FROM {known})")
        late = note_fate(connection, "late", f"beaten WHERE winner IN (FROM {known})")
        connection.execute(f"DELETE FROM beaten WHERE winner IN (FROM {known})")
        books = drop_beaten(connection, books)
    connection.execute(f"INSERT INTO loser FROM {known}")
    return replace(books, late=late, read=books.read - count(connection, known))


def drop_beaten(connection: duckdb.DuckDBPyConnection, books: Books) -> Books:
    """Add the table `beaten` (`_rid`, whether it says exactly what the row that counts says) to `loser`; drop it."""
    connection.execute("INSERT INTO loser SELECT _rid FROM beaten")
    note_fate(connection, "deduplicated", "beaten")
    rows, exact = one_row(connection, "SELECT count(*), count(*) FILTER (exact) FROM beaten")
    connection.execute("DROP TABLE beaten")
    return replace(
        books,
        deduplicated=books.deduplicated + rows,
        duplicates_exact=books.duplicates_exact + exact,
        duplicates_conflicting=books.duplicates_conflicting + rows - exact,
    )


def _repeated_hashes(connection: duckdb.DuckDBPyConnection, rows: int, losers: int) -> str:
    """SQL for the key hashes that more than one row has, of those that are left; where few are not, of all: it is cheaper.

    Sorted, they cost an eighth of DuckDB's grouping (6 M rows: 0.17 against 1.3 CPU s).
    """
    few = losers <= _FEW_LOSERS * rows
    left = "SELECT _h FROM verdict" + ("" if few else " ANTI JOIN loser USING (_rid)")
    parts = parts_to_sort(rows if few else rows - losers)
    if parts is None:
        return f"SELECT _h FROM ({left}) GROUP BY _h HAVING count(*) > 1"
    import polars as pl

    found = []
    for part in range(parts):
        hashes = connection.execute(left + (f" WHERE _h % {parts} = {part}" if parts > 1 else "")).fetchnumpy()["_h"]
        found.append(pl.DataFrame({"_h": repeated(pl.Series(hashes))}))
    connection.register("repeated_hash", pl.concat(found))
    return "FROM repeated_hash"
