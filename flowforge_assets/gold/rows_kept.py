"""The check `rows_kept` of a gold model: its joins lose no row of the table its rows come from, and double none.

Equal counts are the end of it wherever they prove it: rows of the built table, or the sum of what it counts in groups,
against rows of the driving table. Elsewhere the joins are asked once more for row numbers alone. Only where a row is
missing or doubled is it looked for which join did it, and which rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flowforge_assets.model_sql.join_scope import ROW
from flowforge_assets.model_sql.row_keeping import DRIVING, RowKeeping
from flowforge_checks.gate import EXAMPLES
from flowforge_checks.results import Outcome, as_table
from flowforge_resources.duck import literal, one_row, quote, text_list

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import duckdb

    from flowforge_assets.model_sql.row_keeping import JoinStage

ROWS_KEPT = "rows_kept"
_BITS_OF_A_FILE = 40


@dataclass(frozen=True)
class KeptRows:
    """As declared, with what the SQL says. `shown`: key columns of the driving table that examples may show."""

    blocks: bool
    driving: str | None = None
    keeping: RowKeeping = field(default_factory=RowKeeping)
    shown: tuple[str, ...] = ()

    @property
    def about(self) -> str:
        """The check in the UI."""
        if self.keeping.reason:
            return f"Not judged, because of the SQL: {self.keeping.reason} Declare `driving`, or reconcile the model with what it is made from."
        unjudged = [f"`{one}`" for one in self.keeping.unjudged]
        meant = f" Rows that {' and '.join(unjudged)} leaves out count as meant." if unjudged else ""
        done = "one that is stops the table from being published" if self.blocks else "those that are, are counted"
        return f"No row of `{self.keeping.driving}` is lost or multiplied by a JOIN; {done}.{meant}"


@dataclass(frozen=True)
class Driving:
    """The driving table as it was read: local files (or a pattern that stands for them), opened when they are needed.

    `rows`: how many rows it has, where that is known without opening it.
    """

    open: Callable[[], Sequence[Path]]
    rows: int | None = None


@dataclass(frozen=True)
class _Found:
    """What the joins of one stage did. `multiplied`: rows beyond the first of each driving row."""

    expected: int
    lost: int
    multiplied: int
    by_join: tuple[tuple[str, int, int], ...] = ()
    examples: tuple[dict[str, Any], ...] = ()


def rows_kept_outcome(
    connection: duckdb.DuckDBPyConnection,
    kept: KeptRows,
    workflow: str,
    driving: Driving,
    *,
    made: int,
    unique: bool,
    table: Path | None = None,
) -> Outcome:
    """Whether every driving row is in the table once.

    Args:
        connection: where the names of the SQL stand for what was read.
        kept: what to ask.
        workflow: the model's.
        driving: the driving table.
        made: rows that the query returned.
        unique: whether the model's key was found to be unique and present.
        table: local file of what the query returned; None where something was looked up besides.
    """
    if kept.keeping.reason:
        said = f"Not judged: {kept.keeping.reason}"
        return Outcome(ROWS_KEPT, passed=True, blocks=kept.blocks, description=said, metadata={"judged": False})
    keeping = kept.keeping
    proves = keeping.certain and (unique or not keeping.by_key)
    if proves and driving.rows is not None and not keeping.stages[0].filtered and driving.rows == made:
        return _outcome(kept, [_Found(made, 0, 0)])
    _number_rows(connection, workflow, driving.open())
    if proves and _count(connection, keeping.stages[0].expected) == made:
        return _outcome(kept, [_Found(made, 0, 0)])
    if table is not None and keeping.counted and (found := _by_groups(connection, keeping, table)):
        return _outcome(kept, [found])
    return _outcome(kept, [_judged(connection, kept, stage, workflow) for stage in keeping.stages])


def _number_rows(connection: duckdb.DuckDBPyConnection, workflow: str, files: Sequence[Path]) -> None:
    """The driving table with a number for each row: its file's place, and its own in the file."""
    number = f"(file_index::BIGINT << {_BITS_OF_A_FILE}) + file_row_number::BIGINT AS {ROW}"
    source = f"read_parquet({text_list([str(path) for path in files])})"
    connection.execute(f"CREATE OR REPLACE VIEW {quote(workflow)}.{quote(DRIVING)} AS SELECT *, {number} FROM {source}")


def _count(connection: duckdb.DuckDBPyConnection, rows: str) -> int:
    return int(one_row(connection, f"SELECT count({ROW}) FROM ({rows})")[0])


def _by_groups(connection: duckdb.DuckDBPyConnection, keeping: RowKeeping, table: Path) -> _Found | None:
    """No row, where the groups count as many rows as went into joins that can multiply none; None where that fails.

    The sum costs nothing, and keys of dimensions a thirtieth of the joins of a large fact.
    """
    (stage,) = keeping.stages
    rows = f"read_parquet({literal(str(table))})"
    (counted,) = one_row(connection, f"SELECT sum({quote(keeping.counted)}) FROM {rows}")
    expected = _count(connection, stage.expected)
    if int(counted or 0) != expected or any(_has_twice(connection, keys) for keys in stage.partners):
        return None
    return _Found(expected, 0, 0)


def _has_twice(connection: duckdb.DuckDBPyConnection, keys: str) -> bool:
    again = f"SELECT * FROM ({keys}) GROUP BY ALL HAVING count(*) > 1 LIMIT 1"  # ALL is what is selected: the keys
    return bool(connection.execute(again).fetchall())


def _judged(connection: duckdb.DuckDBPyConnection, kept: KeptRows, stage: JoinStage, workflow: str) -> _Found:
    """Counts and sums of hashed row numbers; equal ones are those of the same rows."""
    prints = [
        one_row(
            connection, f"SELECT count({ROW}), coalesce(sum(hash({ROW})) FILTER ({ROW} IS NOT NULL), 0) FROM ({rows})"
        )
        for rows in (stage.expected, stage.joined)
    ]
    expected = int(prints[0][0])
    if prints[0] == prints[1]:
        return _Found(expected, 0, 0)
    by_join, first = [], _apart_and_again(connection, stage.expected)
    before = first
    for what, rows in stage.steps:
        now = _apart_and_again(connection, rows)
        if now != before:
            by_join.append((what, max(0, before[0] - now[0]), max(0, now[1] - before[1])))
        before = now
    lost, multiplied = first[0] - before[0], max(0, before[1] - first[1])
    return _Found(expected, lost, multiplied, tuple(by_join), _examples(connection, kept, stage, workflow))


def _apart_and_again(connection: duckdb.DuckDBPyConnection, rows: str) -> tuple[int, int]:
    """How many different driving rows there are, and how many rows beyond the first of each."""
    found, apart = one_row(connection, f"SELECT count({ROW}), count(DISTINCT {ROW}) FROM ({rows})")
    return int(apart), int(found) - int(apart)


def _examples(
    connection: duckdb.DuckDBPyConnection, kept: KeptRows, stage: JoinStage, workflow: str
) -> tuple[dict[str, Any], ...]:
    """A few rows by their key, the smallest numbers first; none where the key is personal."""
    if not kept.shown:
        return ()
    keys = ", ".join(f"d.{quote(name)}" for name in kept.shown)
    times = (
        f"SELECT {ROW}, count(j.n) AS times FROM ({stage.expected}) LEFT JOIN "
        f"(SELECT {ROW}, 1 AS n FROM ({stage.joined})) j USING ({ROW}) GROUP BY ALL HAVING times <> 1"
    )
    found = connection.execute(
        f"SELECT {keys}, t.times FROM ({times}) t JOIN {quote(workflow)}.{quote(DRIVING)} d USING ({ROW}) "
        f"ORDER BY t.times > 0, {ROW} LIMIT {EXAMPLES}"
    ).fetchall()
    return tuple(
        dict(zip((*kept.shown, "times in the table"), (*map(str, row[:-1]), int(row[-1])), strict=True))
        for row in found
    )


def _outcome(kept: KeptRows, found: Sequence[_Found]) -> Outcome:
    lost, multiplied = sum(one.lost for one in found), sum(one.multiplied for one in found)
    metadata: dict[str, Any] = {
        "driving_table": kept.keeping.driving,
        "rows_expected": found[0].expected,
        "rows_lost": lost,
        "rows_multiplied": multiplied,
    }
    joins = [{"join": what, "lost": less, "added": more} for one in found for what, less, more in one.by_join]
    if joins:
        metadata["joins"] = as_table(joins)
    for one in found:
        if one.examples:
            metadata["examples"] = as_table(one.examples)
    return Outcome(
        ROWS_KEPT,
        passed=not lost and not multiplied,
        blocks=kept.blocks,
        rows_broken=lost + multiplied,
        description=_sentence(kept, found, joins) if lost or multiplied else None,
        metadata=metadata,
    )


def _sentence(kept: KeptRows, found: Sequence[_Found], joins: Sequence[dict[str, Any]]) -> str:
    said = [
        f"{one['lost']:,} are lost by {one['join']}" if one["lost"] else f"{one['added']:,} are added by {one['join']}"
        for one in joins
    ]
    fix = "Write LEFT JOIN and point to an unknown member, join on a unique key, or say `rows_kept: ignore`."
    done = " The table keeps its last version." if kept.blocks else ""
    return f"Of {found[0].expected:,} rows of {kept.keeping.driving} {'; '.join(said)}.{done} {fix}"
