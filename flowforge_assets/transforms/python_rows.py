"""Rows through a user's Python function: out to Parquet in scratch, through Polars' streaming engine, and back.

The function never sees a row that an earlier transform could not compute: such a row goes round it, to quarantine.
What it returns is checked before anything is made of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowforge_assets.transforms.place import FAILED, LANDED_BITS, RID, UNKNOWN_TYPE, Place, fits
from flowforge_resources.duck import literal, one_row, quote
from flowforge_resources.errors import did_you_mean
from flowforge_resources.python_function import StepError
from flowforge_resources.scratch import disk_is_full

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import duckdb

    from flowforge_resources.python_function import PythonFunction
    from flowforge_resources.scratch import Scratch

# A number a row, in order of arrival, is `_rid` for the function; these find the row again.
_SOUND, _LANDED, _PART = "_sound", "_landed", "_part"


@dataclass(frozen=True)
class Returned:
    """What came back: the query for the rows, and how many input rows are missing, by landed file."""

    select: str
    dropped: Mapping[str, int]


def through_function(
    connection: duckdb.DuckDBPyConnection,
    function: PythonFunction,
    at: Place,
    added: Mapping[str, str],
    *,
    scratch: Scratch,
    tell: bool,
) -> Returned:
    """Give the rows of a place to a function and take what it returns.

    Args:
        connection: holds the place's view.
        function: the user's.
        at: the place.
        added: DuckDB types of the columns it adds or returns with another type.
        scratch: where the rows go on disk.
        tell: whether an error of the function may be quoted; its text may hold values.

    Raises:
        StepError: the function fails, returns no LazyFrame, or lacks a column or row numbers.
    """
    given, taken = scratch.path(".parquet"), scratch.path(".parquet")
    _stage(connection, at, given)
    _call(function, at, given, taken, tell=tell)
    back, rows = f"read_parquet({literal(str(taken))}, file_row_number = true)", f"read_parquet({literal(str(given))})"
    wanted = {**at.types, **added}
    values, too_large = _require_columns(connection, back, wanted)
    dropped, repeated = _require_rows(connection, back, rows)
    part = "s._part"
    if repeated:
        table = f"_repeats_{at.number}_{at.multiplier}"
        connection.execute(
            f"CREATE TABLE {table} AS SELECT file_row_number AS _at, row_number() OVER (PARTITION BY {RID} ORDER BY file_row_number) - 1 AS _n FROM {back}"
        )
        limit = int(one_row(connection, f"SELECT max(_n) FROM {table}")[0])
        if limit >= at.most_parts:
            raise StepError(f"the function returned one row {limit + 1} times.", f"At most {at.most_parts} are taken.")
        back = f"{back} JOIN {table} ON _at = file_row_number"
        part = f"s._part + ({at.rid_of_part('_n').removeprefix(f'{RID} + ')})"
    hidden = "".join(f", s.{quote(name)}" for name in at.hidden)
    marked = hidden.replace(f"s.{quote(FAILED)}", f"CASE WHEN {too_large} THEN {at.number} END AS {FAILED}")
    rid = f"s.{_LANDED}::HUGEINT * {1 << LANDED_BITS}::HUGEINT"
    returned = ", ".join(f"{sql} AS {quote(name)}" for name, sql in values.items())
    numbered = f"SELECT {RID} AS _key, * EXCLUDE ({RID}) FROM {back}"
    round_it = ", ".join(_unchanged(name, added) for name in wanted)
    return Returned(
        f"SELECT {rid} + {part} AS {RID}, {returned}{marked} FROM ({numbered}) AS o JOIN {rows} AS s ON o._key = s.{RID} "
        f"UNION ALL SELECT {rid} + s._part AS {RID}, {round_it}{hidden} FROM {rows} AS s WHERE NOT s.{_SOUND}",
        dropped,
    )


def _stage(connection: duckdb.DuckDBPyConnection, at: Place, given: Path) -> None:
    """Write the rows in order of arrival, so that a function which depends on the order gives the same in every run."""
    columns = ", ".join(quote(name) for name in (*at.types, *at.hidden))
    landed = f"({RID} >> {LANDED_BITS})::BIGINT"
    connection.execute(
        f"COPY (SELECT row_number() OVER (ORDER BY {RID}) AS {RID}, {columns}, {landed} AS {_LANDED}, "
        f"({RID} - ({landed}::HUGEINT * {1 << LANDED_BITS}::HUGEINT))::BIGINT AS {_PART}, ({at.sound}) AS {_SOUND} "
        f"FROM {quote(at.view)} ORDER BY 1) TO {literal(str(given))} (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"
    )


def _call(function: PythonFunction, at: Place, given: Path, taken: Path, *, tell: bool) -> None:
    import polars as pl

    frame = pl.scan_parquet(given).filter(pl.col(_SOUND)).select(RID, *at.types)
    try:
        returned = function.load()(frame)
        if isinstance(returned, pl.LazyFrame):
            returned.sink_parquet(taken)
    except StepError:
        raise
    except Exception as error:
        if disk_is_full(error):
            raise
        said = f"{type(error).__name__}: {error}" if tell else type(error).__name__
        cause = error if tell else None
        raise StepError(f"`{function.written}` failed with {said}.", "Correct the function.") from cause
    if not isinstance(returned, pl.LazyFrame):
        kind = type(returned).__name__
        raise StepError(f"`{function.written}` returned {kind}, not a LazyFrame.", "Return one (`frame.lazy()`).")


def _require_columns(
    connection: duckdb.DuckDBPyConnection, back: str, wanted: Mapping[str, str]
) -> tuple[dict[str, str], str]:
    """SQL for each wanted column of what came back, and for whether a value of the row is too large for its type."""
    found = {row[0]: str(row[1]) for row in connection.execute(f"DESCRIBE SELECT * FROM {back}").fetchall()}
    values, too_large = {}, []
    for name, kind in {RID: "BIGINT", **wanted}.items():
        if name not in found:
            fix = "Return it, or `rename` it before." if name != RID else "Keep it through every operation."
            raise StepError(f"the function returned no column '{name}'.{did_you_mean(name, found)}", fix)
        if kind != UNKNOWN_TYPE and not fits(found[name], kind):
            raise StepError(
                f"the function returned '{name}' as {found[name]}, not as {kind}.",
                "Cast it there, or declare its new type under `adds`.",
            )
        values[name] = f"o.{quote(name)}"
        if found[name] != kind and kind != UNKNOWN_TYPE and name != RID:
            values[name] = f"TRY_CAST(o.{quote(name)} AS {kind})"
            too_large.append(f"(o.{quote(name)} IS NOT NULL AND {values[name]} IS NULL)")
    del values[RID]
    return values, " OR ".join(too_large) or "FALSE"


def _require_rows(connection: duckdb.DuckDBPyConnection, back: str, rows: str) -> tuple[dict[str, int], int]:
    """How many input rows of each file are missing and how many rows are repeats; every `_rid` is one that was given."""
    given = f"(FROM {rows} WHERE {_SOUND})"
    total, different = one_row(connection, f"SELECT count(*), count(DISTINCT {RID}) FROM {back}")
    strange = int(one_row(connection, f"SELECT count(*) FROM {back} ANTI JOIN {given} USING ({RID})")[0])
    if strange:
        raise StepError(
            f"the function returned {strange} rows whose `_rid` is null or was not given to it.",
            "Keep `_rid` with its row; after a join or group, take it from the row it stands for.",
        )
    missing = f"SELECT _source_file, count(*) FROM {given} ANTI JOIN {back} USING ({RID}) GROUP BY ALL"
    dropped = {file: int(count) for file, count in connection.execute(missing).fetchall()}
    return dropped, int(total) - int(different)


def _unchanged(name: str, added: Mapping[str, str]) -> str:
    """SQL for a column of a row that went round the function."""
    if name in added:
        return f"NULL::{added[name]} AS {quote(name)}"
    return f"s.{quote(name)}"
