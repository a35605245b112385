"""Rows that Python judges: handed over as Polars frames of bounded size, and those it says no to noted in a table."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from flowforge_checks.rules.base import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    import duckdb
    import polars as pl

# Rows that a function gets at once: a few megabytes.
BATCH_ROWS = 65_536


def note_invalid(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    *,
    columns: Sequence[str],
    asked: str,
    into: str,
    ask: Callable[[pl.DataFrame], pl.Series],
) -> None:
    """Make a table of the `_rid` of invalid rows.

    Args:
        connection: holds `source`.
        source: SQL of rows with a `_rid`.
        columns: what `ask` gets.
        asked: SQL of the rows that are asked about.
        into: the table, as SQL; made anew.
        ask: says of each row of a frame whether it is valid, never null.
    """
    import polars as pl

    kind = connection.execute(f"SELECT typeof(_rid) FROM {source} LIMIT 1").fetchall()
    connection.execute(f"CREATE OR REPLACE TABLE {into} (_rid {kind[0][0] if kind else 'BIGINT'})")
    numbered = f"SELECT _rid::VARCHAR AS _rid, {listed(columns)} FROM {source} WHERE {asked}"
    with closing(_batches(connection, numbered)) as batches:
        invalid = [batch.filter(~ask(batch.drop("_rid"))).select("_rid") for batch in batches]
    if any(len(one) for one in invalid):
        connection.register("_said_no", pl.concat(invalid))
        connection.execute(f"INSERT INTO {into} SELECT _rid FROM _said_no")
        connection.unregister("_said_no")


def _batches(connection: duckdb.DuckDBPyConnection, query: str) -> Generator[pl.DataFrame]:
    import polars as pl

    with connection.sql(query).to_arrow_reader(BATCH_ROWS) as reader:
        for batch in reader:
            yield pl.DataFrame(pl.from_arrow(batch))
