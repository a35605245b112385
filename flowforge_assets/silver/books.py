"""Counting a silver batch by landed file and by partition, for the books.

The files' column is a dictionary in bronze, and rows in quarantine are few: neither count reads the rows again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowforge_assets.strategies.dedupe import DEDUPLICATED
from flowforge_assets.transforms.picked import picked_rows
from flowforge_checks.books_by import Accounts, FileAccount, PartitionAccount
from flowforge_checks.quarantine import DISCARDED

if TYPE_CHECKING:
    import duckdb

    from flowforge_assets.silver.batch import Batch
    from flowforge_assets.silver.partitions import PartitionedBatch
    from flowforge_assets.table_spec import TableSpec
    from flowforge_assets.transforms.prepare import Prepared
    from flowforge_checks.books import Books
    from flowforge_checks.gate import Gate


def accounts_of(
    connection: duckdb.DuckDBPyConnection,
    spec: TableSpec,
    batch: Batch,
    gate: Gate,
    prepared: Prepared,
    *,
    books: Books,
    parts: PartitionedBatch | None,
) -> Accounts:
    """The books with what is known by file and partition."""
    files = (
        None
        if batch.chosen or spec.routed
        else by_file(connection, spec, gate, prepared, books, read_back=batch.read_back is not None)
    )
    partitions = None if parts is None or parts.anew or parts.chosen else _by_partition(parts)
    return Accounts(books, files, partitions)


def by_file(
    connection: duckdb.DuckDBPyConnection,
    spec: TableSpec,
    gate: Gate,
    prepared: Prepared,
    books: Books,
    *,
    read_back: bool = False,
) -> list[FileAccount]:
    """The account of each landed file of a batch that is merged."""
    # Rows that were only read back are booked already.
    rows = "landed SEMI JOIN verdict USING (_rid) ANTI JOIN known_row USING (_rid)" if read_back else "landed"
    read = connection.execute(f"SELECT _source_file, count(*) FROM {rows} GROUP BY ALL ORDER BY ALL").fetchall()
    held: dict[str, int] = {}
    if books.quarantined:
        out = f" AND NOT ({gate.breaks_check(DISCARDED)})" if prepared.laid_over.discards else ""
        with picked_rows(connection):
            held = _judged_so(connection, prepared, f"({gate.held}){out}")
    dropped = _judged_so(connection, prepared, gate.dropped) if books.dropped else {}
    discarded = _judged_so(connection, prepared, gate.breaks_check(DISCARDED)) if books.discarded else {}
    double = _deduplicated(connection, spec, prepared, books)
    told = [
        FileAccount(
            file,
            int(rows),
            held.get(file, 0),
            dropped.get(file, 0),
            discarded.get(file, 0),
            None if double is None else double.get(file, 0),
        )
        for file, rows in read
    ]
    return told if books.exploded or books.filtered or books.routed else [one.with_the_rest() for one in told]


def _deduplicated(
    connection: duckdb.DuckDBPyConnection, spec: TableSpec, prepared: Prepared, books: Books
) -> dict[str, int] | None:
    """By file the rows of which another one counts; None where a key's events are replayed."""
    if spec.replays_events or spec.strategy.keeps_history:
        return None
    if not books.deduplicated:
        return {}
    beaten = f"FROM {DEDUPLICATED}"
    with picked_rows(connection):
        found = _of_files(connection, prepared, beaten, "_rid")
    # Those that the table had before were not looked at twice.
    whole = sum(found.values()) == books.deduplicated
    return found if whole else _of_files(connection, prepared, beaten, "_rid")


def _judged_so(connection: duckdb.DuckDBPyConnection, prepared: Prepared, verdict: str) -> dict[str, int]:
    """By file the judged rows of a verdict."""
    return _of_files(connection, prepared, f"SELECT * FROM verdict WHERE {verdict}", "_position, _rid")


def _of_files(connection: duckdb.DuckDBPyConnection, prepared: Prepared, rows: str, place: str) -> dict[str, int]:
    """By file some judged rows. `place`: the columns by which they are found among those that landed."""
    if prepared.landed_of:
        rows = f"SELECT * REPLACE ({prepared.landed_of} AS _rid) FROM ({rows})"
    joined = f"SELECT _source_file, count(*) FROM landed JOIN ({rows}) USING ({place}) GROUP BY ALL"
    return {file: int(count) for file, count in connection.execute(joined).fetchall()}


def _by_partition(parts: PartitionedBatch) -> list[PartitionAccount]:
    """Every partition that rows came to, or that changed."""
    staged = parts.staged.files if parts.staged else {}
    before = {name: part.rows for name, part in parts.manifest.partitions.items()} if parts.manifest else {}
    found = []
    for name in sorted({*parts.read, *staged}):
        was = before.get(name, 0)
        found.append(PartitionAccount(name, parts.read.get(name, 0), was, staged[name].rows if name in staged else was))
    return found
