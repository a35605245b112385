"""Quarantine: rows that broke a rule, as they landed, with the reasons, waiting for a decision.

One Parquet file a table. A row has an id made of its file, line and text, so that a batch judged again after a crash
holds the same rows and not twice as many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowforge_resources.duck import literal, quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import duckdb

    from flowforge_checks.gate import Gate

ID, REASONS, HELD_BY = "_quarantine_id", "_reasons", "_held_by_run"
WRITTEN_BY_FLOWFORGE = (ID, REASONS, "_source_file", "_row_number", "_ingested_at", HELD_BY)


def held_rows(
    gate: Gate,
    row_id: str,
    headers: Sequence[str],
    run_id: str,
    current: Path | None,
    *,
    sources: Mapping[str, str],
    landed_of: str = "",
) -> str:
    """The query for the next version of the quarantine file: what was held, and what this batch adds.

    Args:
        gate: the verdict on the batch.
        row_id: SQL over `landed` for the id of a held row.
        headers: the columns that landed, kept as text.
        run_id: the run that holds the rows.
        current: local file of the published quarantine; None to start anew.
        sources: the column of `landed` that each declared column comes from.
        landed_of: SQL that turns `_rid` of a judged row into that of the landed row, where a landed row may have become
            several. `row_id` may then read `_part`, the judged row's own number.
    """
    verdict = f"FROM verdict WHERE {gate.held}"
    if landed_of:
        verdict = f"SELECT * REPLACE ({landed_of} AS _rid), _rid::VARCHAR AS _part {verdict}"
    raw = "".join(f", {quote(name)}" for name in headers)
    batch = (
        f"SELECT {row_id} AS {ID}, {gate.reasons(sources)} AS {REASONS}, _source_file, _row_number, _ingested_at, "
        f"{literal(run_id)} AS {HELD_BY}{raw} FROM landed JOIN ({verdict}) USING (_position, _rid)"
    )
    if current is None:
        return batch
    held = f"read_parquet({literal(str(current))})"
    return f"SELECT * FROM {held} UNION ALL BY NAME SELECT * FROM ({batch}) ANTI JOIN (SELECT {ID} FROM {held}) USING ({ID})"


def without_judged(connection: duckdb.DuckDBPyConnection, current: Path, row_id: str, to: Path) -> Path:
    """The published quarantine without the rows that are judged again: those that pass now must not stay."""
    again = f"SELECT {row_id} AS {ID} FROM landed SEMI JOIN verdict USING (_rid)"
    held = f"read_parquet({literal(str(current))})"
    connection.execute(f"COPY (FROM {held} ANTI JOIN ({again}) USING ({ID})) TO {literal(str(to))} (FORMAT parquet)")
    return to
