"""What became of the rows of a batch that passed the gate, row by row, for the books by file and partition.

Belongs here: the table `FATES`, which the strategies fill. Does not: counting it (`silver.books`).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

# Rows (`_rid`) with a column of the books (`fate`). A row that is neither here nor in `Merge.fates` was inserted.
FATES = "row_fate"


def create_fates(connection: duckdb.DuckDBPyConnection) -> None:
    """Create `FATES` without a row."""
    connection.execute(f"CREATE TABLE {FATES} AS SELECT _rid, '' AS fate FROM verdict LIMIT 0")


def note_fate(connection: duckdb.DuckDBPyConnection, fate: str, rows: str) -> int:
    """Note one fate of all rows of a relation with `_rid`; return their number."""
    return int(connection.execute(f"INSERT INTO {FATES} SELECT _rid, '{fate}' FROM {rows}").fetchall()[0][0])


def note_fates(connection: duckdb.DuckDBPyConnection, fates: str) -> Counter[str]:
    """Note what a query (`_rid`, `what`) says of each row, and count it; `exact` and `conflicting` are duplicates."""
    connection.execute(f"CREATE OR REPLACE TABLE fate_now AS {fates}")
    booked = "CASE WHEN what IN ('exact', 'conflicting') THEN 'deduplicated' ELSE what END"
    connection.execute(f"INSERT INTO {FATES} SELECT _rid, {booked} FROM fate_now")
    counted = connection.execute("SELECT what, count(*) FROM fate_now GROUP BY what").fetchall()
    return Counter({what: int(rows) for what, rows in counted})
