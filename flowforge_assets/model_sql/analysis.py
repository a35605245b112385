"""Everything a query says about itself, in one answer that is remembered between starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flowforge_assets.model_sql.remembered import remembered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowforge_assets.lineage.edges import Kind
    from flowforge_assets.model_sql.query import Query


@dataclass(frozen=True)
class Source:
    """A column a query reads, under the table name the query uses, and what becomes of it."""

    table: str
    column: str
    kind: Kind


@dataclass(frozen=True)
class SqlAnalysis:
    """What a query returns and where it comes from.

    `columns`: name to type as stored; None where only a run can say. `origins`: sources by column, without the columns
    whose origin is unknown. `rows`: what decides which rows there are.
    """

    columns: Mapping[str, str] | None
    origins: Mapping[str, tuple[Source, ...]] = field(default_factory=dict)
    rows: tuple[Source, ...] = ()


NOTHING_KNOWN = SqlAnalysis(None)


def analyse(query: Query) -> SqlAnalysis:
    """Analyse a query whose tables' columns are all known.

    Raises:
        DefinitionError: DuckDB cannot run it; the message gives the line.
    """
    tables = {name: list(columns.items()) for name, columns in query.tables.items()}
    question = ["analysis", query.sql, query.workflow, sorted(tables.items())]
    columns, origins, rows = remembered(question, lambda: _analyse(query))
    return SqlAnalysis(
        None if columns is None else dict(columns),
        {name: tuple(Source(*one) for one in sources) for name, sources in origins},
        tuple(Source(*one) for one in rows),
    )


def _analyse(query: Query) -> list[Any]:
    """As JSON can hold it: columns, origins, rows."""
    from flowforge_assets.model_sql.engine import columns_of
    from flowforge_assets.model_sql.origins import Origins, origins_of

    columns = columns_of(query)
    if columns is None:
        return [None, [], []]
    found = origins_of(query) or Origins()
    # A count that differs from DuckDB's means that sqlglot did not expand something, such as COLUMNS('…').
    same = len(found.columns) == len(columns)
    origins = (
        [
            [name, [[*source, kind] for source, kind in sorted(sources.items())]]
            for name, sources in zip(columns, found.columns, strict=True)
            if sources is not None
        ]
        if same
        else []
    )
    rows = [[*source, kind] for source, kind in sorted(found.rows.items())]
    return [list(columns.items()), origins, rows]
