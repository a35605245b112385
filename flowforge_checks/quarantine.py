"""Quarantine: rows that broke a rule, as they landed, with the reasons, waiting for a decision.

One Parquet file a table. A row's id is made of its text, so that one that lands again, in another file or in the same
one uploaded once more, is the same quarantined row: `_landings` says where and how often it landed. The file follows
from bronze and from what was decided; losing it loses no row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowforge_resources.duck import literal, quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import duckdb

    from flowforge_checks.gate import Gate

ID, REASONS, HELD_BY, LANDINGS = "_quarantine_id", "_reasons", "_held_by_run", "_landings"
AUDIT = ("_source_file", "_row_number", "_ingested_at")
WRITTEN_BY_FLOWFORGE = (ID, REASONS, *AUDIT, HELD_BY, LANDINGS)
# The gate's word for a row that a person discarded: it is held, and waits for nothing.
DISCARDED = "discarded"
_LANDING = "{'ingested_at': _ingested_at, 'source_file': _source_file, 'row_number': _row_number, 'run': run}"
_FIRST = (
    f"{LANDINGS}[1].source_file AS _source_file, {LANDINGS}[1].row_number AS _row_number, "
    f"{LANDINGS}[1].ingested_at AS _ingested_at, {LANDINGS}[1].run AS {HELD_BY}"
)
_SAME_PLACE = (
    "e.landing.source_file = l._source_file AND e.landing.row_number = l._row_number "
    "AND e.landing.ingested_at = l._ingested_at"
)


def held_rows(
    connection: duckdb.DuckDBPyConnection,
    gate: Gate,
    row_id: str,
    headers: Sequence[str],
    run_id: str,
    *,
    sources: Mapping[str, str],
    current: Path | None = None,
    earlier: Path | None = None,
    landed_of: str = "",
    raw: str = "landed",
    discarded: bool = False,
) -> str:
    """The query for the next version of the quarantine file: what was held, and what this batch adds.

    Args:
        connection: holds `landed` and `verdict`.
        gate: the verdict on the batch.
        row_id: SQL over `raw` for the id of a held row.
        headers: the columns that landed, kept as text.
        run_id: the run that holds the rows.
        sources: the column of `landed` that each declared column comes from.
        current: local file of the published quarantine that goes on; None to start anew.
        earlier: local file that knows which run held a row first.
        landed_of: SQL that turns `_rid` of a judged row into that of the landed row, where a landed row may have become
            several. `row_id` may then read `_part`, the judged row's number among those.
        raw: the relation of rows as they landed; `landed` may show them with what a person fixed.
        discarded: whether the gate knows rows that a person discarded.
    """
    reasons = _reasons_of_held(gate, row_id, sources, landed_of=landed_of, raw=raw, discarded=discarded)
    connection.execute(f"CREATE TABLE held_landing AS SELECT *, {literal(run_id)} AS run FROM ({reasons})")
    _create_contents(connection, earlier)
    texts = "".join(f", r.{quote(name)}" for name in headers)
    batch = (
        f"SELECT h.id AS {ID}, h.reasons AS {REASONS}, {_FIRST}, {LANDINGS}{texts} "
        f"FROM {raw} r JOIN held_content h USING (_position, _rid)"
    )
    if current is None:
        return batch
    held = f"read_parquet({literal(str(current))})"
    both = f"list_distinct(list_concat(c.{LANDINGS}, b.{LANDINGS}))"
    again = (
        f"SELECT * REPLACE ({_FIRST}) FROM (SELECT b.* REPLACE (coalesce(list_sort({both}), b.{LANDINGS}) AS {LANDINGS}) "
        f"FROM ({batch}) b LEFT JOIN (SELECT {ID}, {LANDINGS} FROM {held}) c USING ({ID}))"
    )
    return f"SELECT * FROM {held} WHERE {ID} NOT IN (SELECT id FROM held_content) UNION ALL BY NAME {again}"


def _reasons_of_held(
    gate: Gate, row_id: str, sources: Mapping[str, str], *, landed_of: str, raw: str, discarded: bool
) -> str:
    """SQL for the held rows as they landed: their place, id, reasons and audit columns."""
    out = f" AND NOT ({gate.breaks_check(DISCARDED)})" if discarded else ""
    verdict = f"SELECT *, _rid AS _judged FROM verdict WHERE ({gate.held}){out}"
    if landed_of:
        verdict = f"SELECT * REPLACE ({landed_of} AS _rid), {part_of(landed_of)} AS _part FROM ({verdict})"
    rows = f"(SELECT *, {gate.reasons(sources)} AS _ff_reasons FROM landed JOIN ({verdict}) USING (_position, _rid))"
    if raw != "landed":
        part = ", _part" if landed_of else ""
        judged = f"SELECT _position, _rid, _judged, _ff_reasons{part} FROM {rows}"
        rows = f"({raw} JOIN ({judged}) USING (_position, _rid))"
    return f"SELECT _rid, _position, _judged, {row_id} AS id, _ff_reasons AS reasons, {', '.join(AUDIT)} FROM {rows}"


def _create_contents(connection: duckdb.DuckDBPyConnection, earlier: Path | None) -> None:
    """Create `held_content`: each held row once, with its first place in the batch, its reasons and all its landings."""
    if earlier is not None:
        connection.execute(
            f"UPDATE held_landing l SET run = e.landing.run FROM "
            f"(SELECT DISTINCT unnest({LANDINGS}) AS landing FROM read_parquet({literal(str(earlier))})) e WHERE {_SAME_PLACE}"
        )
    connection.execute(
        "CREATE TABLE held_content AS SELECT id, arg_min(_rid, _judged) AS _rid, arg_min(_position, _judged) AS _position, "
        f"arg_min(reasons, _judged) AS reasons, list_sort(list({_LANDING})) AS {LANDINGS} FROM held_landing GROUP BY id"
    )


def part_of(landed_of: str) -> str:
    """SQL for the number of a judged row among those made of its landed row: the same in every run."""
    return f"(_rid - (({landed_of})::HUGEINT << 64))::VARCHAR"


def without(
    connection: duckdb.DuckDBPyConnection, current: Path, gone: Iterable[tuple[str, str | None]], to: Path
) -> Path:
    """The published quarantine without discarded rows, given as (id, ISO moment): what landed after it waits again."""
    connection.execute("CREATE TABLE gone (id VARCHAR, until TIMESTAMP)")
    connection.executemany("INSERT INTO gone VALUES (?, ?)", [list(one) for one in gone])
    held = f"read_parquet({literal(str(current))})"
    rows = f"FROM {held} WHERE {ID} NOT IN (SELECT id FROM gone WHERE until IS NULL OR _ingested_at <= until)"
    connection.execute(f"COPY ({rows}) TO {literal(str(to))} (FORMAT parquet)")
    return to


def without_judged(connection: duckdb.DuckDBPyConnection, current: Path, to: Path) -> Path:
    """The published quarantine without landings that are judged again: those that pass now must not stay."""
    judged = f"SELECT {', '.join(AUDIT)} FROM landed SEMI JOIN verdict USING (_rid)"
    return _with_landings(connection, current, f"ANTI JOIN ({judged}) l ON {_SAME_PLACE}", to)


def landed_at(connection: duckdb.DuckDBPyConnection, current: Path, moments: Sequence[str], to: Path) -> Path:
    """The landings of the published quarantine that bronze took at some moments."""
    listed = ", ".join(f"TIMESTAMP {literal(moment)}" for moment in moments) or "NULL"
    return _with_landings(connection, current, f"WHERE e.landing.ingested_at IN ({listed})", to)


def _with_landings(connection: duckdb.DuckDBPyConnection, current: Path, which: str, to: Path) -> Path:
    held = f"read_parquet({literal(str(current))})"
    kept = (
        f"SELECT {ID}, list_sort(list(landing)) AS kept FROM "
        f"(SELECT e.* FROM (SELECT {ID}, unnest({LANDINGS}) AS landing FROM {held}) e {which}) GROUP BY {ID}"
    )
    rows = f"SELECT * REPLACE ({_FIRST}) FROM (SELECT h.* REPLACE (kept.kept AS {LANDINGS}) FROM {held} h JOIN ({kept}) kept USING ({ID}))"
    connection.execute(f"COPY ({rows}) TO {literal(str(to))} (FORMAT parquet)")
    return to
