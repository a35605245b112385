"""Conditions over the columns of a table: whether DuckDB can ask them, and which columns they name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowforge_assets.model_sql.query import Query
from flowforge_assets.model_sql.remembered import remembered
from flowforge_resources.duck import quote

if TYPE_CHECKING:
    from collections.abc import Mapping


def require_condition(condition: str, table: str, workflow: str, columns: Mapping[str, str], *, whole: bool) -> None:
    """A condition over a row, or a `whole` query over the table, can be asked of a table with these columns.

    Raises:
        DefinitionError: it cannot.
    """
    sql = condition if whole else f"SELECT ({condition}) FROM {quote(table)}"
    query = Query(sql, "", workflow, {table: columns})
    remembered(["condition", sql, workflow, list(columns.items())], lambda: _ask(query))


def _ask(query: Query) -> bool:
    from flowforge_assets.model_sql.engine import columns_of

    return columns_of(query) is not None


def columns_named(condition: str) -> tuple[str, ...]:
    """The columns a condition names, in order; none where sqlglot cannot read it."""
    return tuple(remembered(["columns named", condition], lambda: _columns_named(condition)))


def _columns_named(condition: str) -> list[str]:
    import sqlglot
    from sqlglot import exp

    try:
        tree = sqlglot.parse_one(condition, dialect="duckdb")
    except sqlglot.errors.SqlglotError:
        return []
    return list(dict.fromkeys(column.name for column in tree.find_all(exp.Column)))
