"""Profiling a relation: DuckDB's SUMMARIZE once, then a sample of bounded size for top values, patterns and plots.

Cost: one pass over the rows that are looked at, and one over at most `SAMPLE_ROWS` of them. Above `MOST_ROWS` rows a
random part of about that many is looked at, the same for the same rows.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from flowforge_checks.profile.columns import QUANTILES, ColumnProfile, Profile
from flowforge_resources.duck import literal, one_row, quote
from flowforge_resources.layout import utc_now

if TYPE_CHECKING:
    from collections.abc import Collection

    import duckdb

MOST_ROWS = 5_000_000
SAMPLE_ROWS = 100_000
BUCKETS = 20
TOP = 10
_SEED = 1
_PLOTTED = ("DATE", "TIMESTAMP", "TIME")
_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "DOUBLE", "FLOAT", "DECIMAL")


def profile_of(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    *,
    table: str,
    version: str,
    personal: Collection[str],
    most_rows: int = MOST_ROWS,
) -> Profile:
    """The profile of a relation.

    Args:
        connection: where to ask.
        source: what stands in FROM.
        table: its name.
        version: of the table, so that two profiles of one version are known as such.
        personal: columns of which only type and counts may be known.
        most_rows: rows above which a part is looked at.
    """
    began = perf_counter()
    rows = int(one_row(connection, f"SELECT count(*) FROM {source}")[0])
    if rows > most_rows:
        source = f"(FROM {source} USING SAMPLE {100 * most_rows / rows:.6f}% (bernoulli, {_SEED}))"
    types = {name: kind for name, kind, *_ in connection.execute(f"DESCRIBE FROM {source}").fetchall()}
    found = connection.execute(f"SUMMARIZE FROM {source}").fetchall()
    summary = {row[0]: row for row in found}
    looked_at = int(found[0][10]) if found else 0
    nulls = _nulls(connection, source, list(types))
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE _sample AS FROM {source} USING SAMPLE reservoir({SAMPLE_ROWS} ROWS) REPEATABLE ({_SEED})"
    )
    hidden = {name.lower() for name in personal}
    columns = tuple(
        _column(
            connection,
            name,
            kind,
            summary[name],
            looked_at=looked_at,
            nulls=nulls[name],
            personal=name.lower() in hidden,
        )
        for name, kind in types.items()
    )
    seconds = round(perf_counter() - began, 3)
    return Profile(table, version, utc_now().isoformat(), rows, looked_at, seconds, columns)


def _nulls(connection: duckdb.DuckDBPyConnection, source: str, names: list[str]) -> dict[str, int]:
    counts = ", ".join(f"count(*) - count({quote(name)})" for name in names)
    return dict(zip(names, map(int, one_row(connection, f"SELECT {counts} FROM {source}")), strict=True))


def _column(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    kind: str,
    said: Any,
    *,
    looked_at: int,
    nulls: int,
    personal: bool,
) -> ColumnProfile:
    distinct = min(int(said[4] or 0), looked_at - nulls)
    if personal:
        return ColumnProfile(name, kind, looked_at, nulls, distinct, personal=True)
    quantiles, histogram = _spread(connection, name, kind)
    top, is_all = _top(connection, name)
    return ColumnProfile(
        name,
        kind,
        looked_at,
        nulls,
        distinct,
        min=_short(said[2]),
        max=_short(said[3]),
        mean=float(said[5]) if said[5] is not None and _word(kind) in _NUMBERS else None,
        quantiles=quantiles,
        histogram=histogram,
        top=top,
        top_is_all=is_all,
        patterns=_patterns(connection, name) if kind == "VARCHAR" else (),
    )


def _number(name: str, kind: str) -> str | None:
    """SQL for a value as a number: of a moment, seconds since 1970."""
    if _word(kind) in _NUMBERS:
        return f"{quote(name)}::DOUBLE"
    return f"epoch({quote(name)})::DOUBLE" if _word(kind) in _PLOTTED else None


def _word(kind: str) -> str:
    """A type without its parameters; a list of it is another type."""
    return kind if kind.endswith("]") else kind.partition("(")[0].partition(" ")[0]


def _spread(connection: duckdb.DuckDBPyConnection, name: str, kind: str) -> tuple[tuple[float, ...], tuple[int, ...]]:
    value = _number(name, kind)
    if value is None:
        return (), ()
    finite = f"(SELECT {value} AS v FROM _sample WHERE {quote(name)} IS NOT NULL AND isfinite({value}))"
    least, most, quantiles = one_row(
        connection, f"SELECT min(v), max(v), quantile_cont(v, {list(QUANTILES)}) FROM {finite}"
    )
    if least is None:
        return (), ()
    width = (most - least) / BUCKETS
    place = f"least({BUCKETS - 1}, floor((v - {literal(least)}) / {literal(width)})::INTEGER)" if width else "0"
    counts = dict(connection.execute(f"SELECT {place} AS place, count(*) FROM {finite} GROUP BY place").fetchall())
    return tuple(quantiles), tuple(int(counts.get(number, 0)) for number in range(BUCKETS))


def _top(connection: duckdb.DuckDBPyConnection, name: str) -> tuple[tuple[tuple[str, int], ...], bool]:
    found = connection.execute(
        f"SELECT {quote(name)}::VARCHAR AS v, count(*) AS n FROM _sample WHERE {quote(name)} IS NOT NULL "
        f"GROUP BY v ORDER BY n DESC, v LIMIT {TOP + 1}"
    ).fetchall()
    if found and found[0][1] == 1:  # every value is there once: none is more frequent than another
        return (), False
    return tuple((_short(value) or "", int(count)) for value, count in found[:TOP]), len(found) <= TOP


def _patterns(connection: duckdb.DuckDBPyConnection, name: str) -> tuple[tuple[str, int], ...]:
    shape = f"left({quote(name)}, 40)"
    for letters, stands in (("[[:upper:]]", "A"), ("[[:lower:]]", "a"), ("[[:digit:]]", "9")):
        shape = f"regexp_replace({shape}, {literal(letters)}, {literal(stands)}, 'g')"
    found = connection.execute(
        f"SELECT {shape} AS p, count(*) AS n FROM _sample WHERE {quote(name)} IS NOT NULL GROUP BY p ORDER BY n DESC, p LIMIT 5"
    ).fetchall()
    return tuple((str(pattern), int(count)) for pattern, count in found)


def _short(value: object) -> str | None:
    text = None if value is None else str(value)
    return text if text is None or len(text) <= 60 else f"{text[:59]}…"  # noqa: PLR2004  # as `results` cuts cells
