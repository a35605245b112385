"""Lookups: a fact's natural key becomes the key of its dimension row, as of the fact's date where history is kept.

Belongs here: the declaration, the joins it stands for, and what can be wrong with the dimension for that purpose. A row
never meets two rows of a dimension: where it would, the model is not published.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from flowforge_assets.gold.model_spec import UNKNOWN_KEY
from flowforge_checks.check_names import as_check_name
from flowforge_checks.results import Outcome
from flowforge_resources.duck import literal, one_row, quote
from flowforge_resources.errors import ModelColumnsError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import duckdb

_OWN, _OTHER = "_fact", "_dimension"
_FROM = "_counts_from"


class Lookup(BaseModel):
    """A column that is found in a dimension by its natural key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str = Field(description="The column it adds, such as `customer_key`. The SQL must not return it.")
    model: str = Field(description="The dimension: a model or a silver table, as SQL names it.")
    # not `on`: YAML 1.1 reads that as true
    match: dict[str, str] = Field(
        min_length=1, description="Columns that must be equal: what the SQL returns, to the dimension's."
    )
    key: str | None = Field(default=None, description="The dimension's column to take. Default: `column`.")
    as_of: str | None = Field(
        default=None, description="Date or timestamp column of the SQL: the version that was valid then is taken."
    )
    valid_from: str = Field(default="valid_from", description="With `as_of`: first moment of a version.")
    valid_to: str = Field(
        default="valid_to", description="With `as_of`: first moment after it; null for the present version."
    )
    before_first: Literal["unknown", "first"] = Field(
        default="unknown",
        description="With `as_of`: what a row older than the first version gets. `first`: that first version.",
    )

    @model_validator(mode="after")
    def _only_with_as_of(self) -> Lookup:
        needless = sorted({"valid_from", "valid_to", "before_first"} & self.model_fields_set)
        if self.as_of is None and needless:
            raise ValueError(
                f"the lookup of `{self.column}` has `{needless[0]}` and no `as_of`. "
                "Name the date column of the SQL in `as_of`, or leave it out."
            )
        return self

    @property
    def target(self) -> str:
        """Column of the dimension."""
        return self.key or self.column


def lookup_check(lookup: Lookup) -> str:
    """Name of a lookup's check."""
    return as_check_name(f"lookup_{lookup.column}")


def with_lookups(query: str, lookups: Sequence[Lookup], omit: Sequence[str]) -> str:
    """The query with the looked-up columns behind its own, and without those of its own that only they need."""
    if not lookups and not omit:
        return query
    without = f" EXCLUDE ({', '.join(map(quote, omit))})" if omit else ""
    found = "".join(
        f", coalesce({quote(f'{_OTHER}{place}')}.{quote(one.target)}, {UNKNOWN_KEY}) AS {quote(one.column)}"
        for place, one in enumerate(lookups)
    )
    joins = "".join(f"\n{_join(one, f'{_OTHER}{place}')}" for place, one in enumerate(lookups))
    return f"SELECT {_OWN}.*{without}{found} FROM ({query}\n) AS {_OWN}{joins}"


def _join(lookup: Lookup, alias: str) -> str:
    other = quote(alias)
    equal = [f"{_OWN}.{quote(mine)} = {other}.{quote(theirs)}" for mine, theirs in lookup.match.items()]
    if lookup.as_of is None:
        return f"LEFT JOIN {_table(lookup.model)} AS {other} ON {' AND '.join(equal)}"
    moment = f"{_OWN}.{quote(lookup.as_of)}"
    equal += [
        f"{other}.{_FROM} <= {moment}",
        f"({other}.{quote(lookup.valid_to)} IS NULL OR {moment} < {other}.{quote(lookup.valid_to)})",
    ]
    return f"LEFT JOIN ({_versions(lookup)}) AS {other} ON {' AND '.join(equal)}"


def _versions(lookup: Lookup) -> str:
    """The dimension's versions with the moment each counts from; the first from the beginning of time if declared."""
    start = quote(lookup.valid_from)
    if lookup.before_first == "first":
        first = f"{start} = min({start}) OVER (PARTITION BY {', '.join(map(quote, lookup.match.values()))})"
        start = f"CASE WHEN {first} THEN '-infinity'::TIMESTAMP ELSE {start} END"
    lasts = f"{quote(lookup.valid_to)} IS NULL OR {quote(lookup.valid_to)} > {quote(lookup.valid_from)}"
    return f"SELECT *, {start} AS {_FROM} FROM {_table(lookup.model)} WHERE {lasts}"


def _table(name: str) -> str:
    return ".".join(map(quote, name.split(".")))


def require_columns(
    where: str,
    own: Mapping[str, str] | None,
    others: Mapping[str, Mapping[str, str] | None],
    lookups: Sequence[Lookup],
    omit: Sequence[str],
) -> None:
    """Whether query and dimensions have the columns the lookups name, of kinds that can be compared.

    Args:
        where: the query's file.
        own: columns of the query, with their types; None where they are not known.
        others: the same of every table that is looked up.
        lookups: what is looked up.
        omit: columns of the query that only lookups need.

    Raises:
        ModelColumnsError: naming the first that is missing, doubled or of another kind.
    """
    for one in lookups:
        other = others[one.model]
        wanted_here = [*one.match, *([one.as_of] if one.as_of else [])]
        wanted_there = [one.target, *one.match.values(), *([one.valid_from, one.valid_to] if one.as_of else [])]
        for name in wanted_here:
            if own is not None and name not in own:
                raise _wrong(where, one, f"needs the column `{name}`, which the SQL does not return.", "Select it.")
        for name in wanted_there:
            if other is not None and name not in other:
                problem = f"needs the column `{name}`, which {one.model} does not have."
                raise _wrong(where, one, problem, f"It has: {', '.join(other)}.")
        if one.column in (own or {}):
            raise _wrong(where, one, "adds a column which the SQL returns already.", "Take it out of the SQL.")
        _require_same_kinds(where, one, own or {}, other or {})
    for name in omit:
        if own is not None and name not in own:
            problem = f"`omit` names `{name}`, which the SQL does not return.{did_you_mean(name, own)}"
            raise ModelColumnsError(where, problem, "Correct the name.")


def _require_same_kinds(where: str, lookup: Lookup, own: Mapping[str, str], other: Mapping[str, str]) -> None:
    for mine, theirs in lookup.match.items():
        kinds = own.get(mine), other.get(theirs)
        if None not in kinds and (kinds[0] == "VARCHAR") != (kinds[1] == "VARCHAR"):
            problem = f"compares `{mine}` ({kinds[0]}) with `{theirs}` of {lookup.model} ({kinds[1]})."
            raise _wrong(where, lookup, problem, "Cast one of them: text and numbers are equal by accident only.")


def require_columns_in(
    connection: duckdb.DuckDBPyConnection, where: str, query: str, lookups: Sequence[Lookup], omit: Sequence[str]
) -> None:
    """The same of a query and tables that are there.

    Raises:
        ModelColumnsError: as `require_columns`.
    """
    others = {one.model: _columns(connection, _table(one.model)) for one in lookups}
    require_columns(where, _columns(connection, f"({query}\n)"), others, lookups, omit)


def _wrong(where: str, lookup: Lookup, problem: str, fix: str) -> ModelColumnsError:
    return ModelColumnsError(where, f"the lookup of `{lookup.column}` {problem}", fix)


def _columns(connection: duckdb.DuckDBPyConnection, source: str) -> dict[str, str]:
    return {name: kind for name, kind, *_ in connection.execute(f"DESCRIBE FROM {source}").fetchall()}


def lookup_outcome(
    connection: duckdb.DuckDBPyConnection, lookup: Lookup, target: Path, dimension: Path, known: str
) -> Outcome:
    """Rows at the unknown member make the check warn; a dimension with two rows for one fact blocks.

    Args:
        connection: where to ask.
        lookup: what was looked up.
        target: the table that was built.
        dimension: file of the dimension.
        known: SQL condition that leaves out the built table's own unknown member.
    """
    doubled = _doubled(connection, lookup, dimension)
    rows, unknown = one_row(
        connection,
        f"SELECT count(*), count(*) FILTER ({quote(lookup.column)} = {UNKNOWN_KEY}) "
        f"FROM read_parquet({literal(str(target))}) WHERE {known}",
    )
    metadata = {"rows_checked": int(rows), "rows_unknown": int(unknown), "rows_doubled_in_dimension": doubled}
    name = lookup_check(lookup)
    if doubled:
        said = f"{doubled:,} rows of {lookup.model} {'overlap' if lookup.as_of else 'share their key'} with another, so that a row would meet two; the table keeps its last version."
        return Outcome(name, passed=False, blocks=True, rows_broken=doubled, description=said, metadata=metadata)
    said = f"Of {rows:,} rows {unknown:,} have no row in {lookup.model} and point to its unknown member."
    return Outcome(
        name,
        passed=not unknown,
        warns=True,
        rows_broken=int(unknown),
        description=said if unknown else None,
        metadata=metadata,
    )


def _doubled(connection: duckdb.DuckDBPyConnection, lookup: Lookup, dimension: Path) -> int:
    """Rows of the dimension that count at the same time as an earlier one of the same natural key."""
    keys = ", ".join(map(quote, lookup.match.values()))
    present = " AND ".join(f"{quote(name)} IS NOT NULL" for name in lookup.match.values())
    source = f"read_parquet({literal(str(dimension))})"
    if lookup.as_of is None:
        (count,) = one_row(
            connection,
            f"SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) AS n FROM {source} WHERE {present} GROUP BY {keys})",
        )
        return int(count)
    start, end = quote(lookup.valid_from), quote(lookup.valid_to)
    # The furthest end so far, not the last row's: a long version may cover several short ones.
    before = f"OVER (PARTITION BY {keys} ORDER BY {start}, {end} NULLS LAST ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
    (count,) = one_row(
        connection,
        f"SELECT count(*) FILTER (reached > {start}) FROM (SELECT {start}, "
        f"max(coalesce({end}::TIMESTAMP, 'infinity'::TIMESTAMP)) {before} AS reached FROM {source} "
        f"WHERE {present} AND {start} IS NOT NULL AND ({end} IS NULL OR {end} > {start}))",
    )
    return int(count)
