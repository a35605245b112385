"""What a run reads of bronze it has taken in already, to let released rows in: those rows, and all rows of their keys.

Of a table that is a function of the newest (or first) row of each key nothing else can change. Belongs here: where that
holds, and fetching those rows. Does not: merging them (`strategies`), tables that have to be made anew (`batch`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowforge_assets.transforms.cast import create_cast, create_landed
from flowforge_assets.transforms.laid_over import lay_over
from flowforge_assets.transforms.rows_that_count import rows_that_count
from flowforge_checks.decided import rulings
from flowforge_checks.quarantine import AUDIT, DISCARDED, ID, LANDINGS
from flowforge_checks.row_ids import ROW_BITS
from flowforge_checks.rules import SetRule
from flowforge_resources.bronze_parts import BronzePart
from flowforge_resources.duck import connect, literal, one_row, quote, text_list

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    import duckdb

    from flowforge_assets.table_spec import TableSpec
    from flowforge_assets.transforms.laid_over import LaidOver
    from flowforge_checks.decided import Ruling
    from flowforge_checks.gate import Gate
    from flowforge_resources.bronze_parts import BronzeFile, Span
    from flowforge_resources.lake import Lake
    from flowforge_resources.quarantine_decisions import RowDecision
    from flowforge_resources.scratch import Scratch

# The rows read back lie in one local file before the batch's own.
READ_BACK = ""
KNOWN = "known_row"


@dataclass(frozen=True)
class ReadBack:
    """Bronze that a version holds already, and the rows that were released since.

    `files`, `retracted`: as `rows_that_count` takes them. `rulings`: on the released rows, by id.
    """

    files: tuple[BronzeFile, ...]
    retracted: tuple[tuple[int, str, Span | None], ...]
    rulings: dict[str, Ruling]

    def fetch(self, lake: Lake, spec: TableSpec, scratch: Scratch) -> Path:
        """The released rows, and all rows of their keys that do not wait, in order of arrival, as a local bronze file."""
        bronze = [lake.stage_in(file.key, scratch) for file in self.files]
        held = lake.stage_in(spec.id.quarantine, scratch)
        path = scratch.path(".parquet")
        with connect(scratch.root) as connection:
            counting = rows_that_count(self.files, self.retracted)
            headers = create_landed(connection, spec.root.landed_headers, bronze, counting)
            _create_released(connection, held, self.rulings)
            if spec.keys:
                _add_rows_of_keys(connection, spec, headers, self.rulings)
            rows = f"SELECT * EXCLUDE (_rid, _position) FROM ({_picked('everything', 'wanted')}) ORDER BY _rid"
            connection.execute(f"COPY ({rows}) TO {literal(str(path))} (FORMAT parquet)")
        return path


def part_of(covered: int) -> BronzePart:
    """The place of the rows read back among a batch's entries."""
    return BronzePart(covered, "", "", READ_BACK, 0)


def is_enough(spec: TableSpec) -> bool:
    """Whether the rows of a released row's key decide what the table holds of it."""
    strategy = spec.strategy.kind == "upsert" or (spec.strategy.kind == "append" and not spec.keys)
    beside = any(isinstance(rule, SetRule) for rule in spec.rules)
    unsure = bool(spec.tables_read) and any(rule.effective_action == "drop" for rule in spec.rules)
    return strategy and not (
        spec.replays_events or spec.transformed or spec.strategy.takes_extracts or beside or unsure
    )


def released_since(
    lake: Lake, spec: TableSpec, decisions: Sequence[RowDecision], since: int, scratch: Scratch
) -> dict[str, Ruling] | None:
    """The rulings on rows that were released since a version of the decisions; None where reading back is not enough.

    It is where each of them waits, was not in the table before by an earlier ruling, no earlier fix gave any row another
    key, and no discard was undone.
    """
    if any(one.action == "restore" for one in decisions[since:]):
        return None
    before = {row: one for row, one in rulings(decisions[:since]).items() if one.counts}
    now = {row: one for row, one in rulings(decisions).items() if one.released > since}
    keys = {spec.sources.get(name, name) for name in spec.keys}
    if now.keys() & before.keys() or any(keys & one.fixes.keys() for one in before.values()):
        return None
    if lake.head(spec.id.quarantine) is None:
        return None
    with connect(scratch.root) as connection:
        file = literal(str(lake.stage_in(spec.id.quarantine, scratch)))
        wait = f"SELECT count(*) FROM read_parquet({file}) WHERE {ID} IN (SELECT unnest({text_list(list(now))}))"
        waiting = one_row(connection, wait)[0]
    return now if waiting == len(now) else None


def note_known(connection: duckdb.DuckDBPyConnection, gate: Gate, laid_over: LaidOver) -> None:
    """Create `known_row`: rows read back that were not released. They were judged before, and that verdict stands.

    Those that were dropped or discarded then are as if they had not been read.
    """
    known = f"_rid < {1 << ROW_BITS}"
    if laid_over.released:
        known += " AND _rid NOT IN (SELECT _rid FROM released_row)"
    out = f"{gate.dropped} OR ({gate.breaks_check(DISCARDED)})" if laid_over.discards else gate.dropped
    if connection.execute(f"DELETE FROM judged_row WHERE {known} AND ({out}) RETURNING 1").fetchall():
        connection.execute("ALTER VIEW typed RENAME TO typed_with_gone")
        connection.execute("CREATE VIEW typed AS FROM typed_with_gone SEMI JOIN verdict USING (_rid)")
    connection.execute(f"CREATE TABLE {KNOWN} AS SELECT _rid FROM verdict WHERE {known}")
    gate.let_pass(KNOWN)


def _create_released(connection: duckdb.DuckDBPyConnection, held: Path, ids: Collection[str]) -> None:
    """Create `waiting_row` (`_rid`, `_position`) with the rows that wait, and `wanted` with those that were released."""
    landings = f"SELECT {ID} AS id, unnest({LANDINGS}) AS l FROM read_parquet({literal(str(held))})"
    place = ("source_file", "row_number", "ingested_at")
    same = " AND ".join(f"e.{own} = l.{name}" for own, name in zip(AUDIT, place, strict=True))
    connection.execute("ALTER VIEW landed RENAME TO everything")
    connection.execute(
        f"CREATE TABLE waiting_row AS SELECT e._rid, e._position, h.id FROM "
        f"(SELECT _rid, _position, {', '.join(AUDIT)} FROM everything) e JOIN ({landings}) h ON {same}"
    )
    chosen = f"id IN (SELECT unnest({text_list(list(ids))}))"
    connection.execute(f"CREATE TABLE wanted AS SELECT _rid, _position FROM waiting_row WHERE {chosen}")


def _add_rows_of_keys(
    connection: duckdb.DuckDBPyConnection, spec: TableSpec, headers: Sequence[str], ruled: dict[str, Ruling]
) -> None:
    """Add to `wanted` the rows of the keys that released rows have with what was fixed; only key columns are read."""
    keys = ", ".join(quote(key) for key in spec.keys)
    connection.execute(f"CREATE TABLE released AS {_picked('everything', 'wanted')}")
    connection.execute("CREATE VIEW landed AS FROM released")
    lay_over(connection, headers, ruled, since=0, known_upto=0, multiplied=False)
    create_cast(connection, spec)
    connection.execute(f"CREATE TABLE released_key AS SELECT DISTINCT {keys} FROM typed")
    connection.execute("DROP VIEW typed; DROP VIEW landed; CREATE VIEW landed AS FROM everything")
    create_cast(connection, spec)
    connection.execute(
        f"INSERT INTO wanted SELECT _rid, _position FROM (SELECT _rid, _position, {keys} FROM typed) "
        f"SEMI JOIN released_key USING ({keys}) ANTI JOIN waiting_row USING (_rid)"
    )


def _picked(rows: str, which: str) -> str:
    """SQL; the reader of the files can skip by `_position` alone."""
    return f"SELECT * FROM {rows} WHERE _position IN (SELECT _position FROM {which}) AND _rid IN (SELECT _rid FROM {which})"
