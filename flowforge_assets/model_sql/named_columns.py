"""`COLUMNS(…)` written out: DuckDB says which columns it stands for; sqlglot does not know.

What cannot be written out stays as it is; its origin is then unknown.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlglot import exp

    from flowforge_assets.model_sql.query import Query

# What a SELECT may do with its columns behind its FROM.
_BEHIND = ("with_", "group", "having", "qualify", "distinct", "order", "limit", "offset", "windows")


def name_columns(tree: exp.Expr, query: Query) -> None:
    """Replace, in a tree, each `COLUMNS(…)` of a SELECT's list by the columns it stands for."""
    from sqlglot import exp

    if tree.find(exp.Columns) is None:
        return
    for select in list(tree.find_all(exp.Select)):
        written = [made for one in select.expressions for made in _written_out(one, select, tree, query)]
        select.set("expressions", written)


def _written_out(one: exp.Expr, select: exp.Select, tree: exp.Expr, query: Query) -> list[exp.Expr]:
    """An entry of a SELECT's list as those it stands for, each under the name that DuckDB gives it."""
    from sqlglot import exp

    meant = [node for node in one.find_all(exp.Columns) if node.find_ancestor(exp.Select) is select]
    if (
        not meant
        or len({node.sql(dialect="duckdb") for node in meant}) > 1
        or any(node.args.get("unpack") for node in meant)
    ):
        return [one]
    columns = names(meant[0], select, tree, query)
    shown = names(one, select, tree, query)
    if columns is None or shown is None or len(columns) != len(shown) or len(set(columns)) < len(columns):
        return [one]
    return [exp.alias_(_with(one, column), name, quoted=True) for column, name in zip(columns, shown, strict=True)]


def _with(one: exp.Expr, column: str) -> exp.Expr:
    """An entry with a column in place of `COLUMNS(…)`, without its alias."""
    from sqlglot import exp

    def put(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.Columns):
            return node
        of = node.this.args.get("table") if isinstance(node.this, exp.Column) else None
        return exp.column(exp.to_identifier(column, quoted=True), table=of.copy() if of else None)

    made: exp.Expr = one.unalias().copy().transform(put)
    return made


def names(entry: exp.Expr, select: exp.Select, tree: exp.Expr, query: Query) -> list[str] | None:
    """The names of what a SELECT returns whose list is this entry alone; None where DuckDB does not understand that."""
    asked: Any = select.copy()
    for clause in _BEHIND:
        asked.set(clause, None)
    asked.set("expressions", [entry.copy()])
    return told(asked, select, tree, query)


def told(asked: Any, place: exp.Expr, tree: exp.Expr, query: Query) -> list[str] | None:
    """The names of what a SELECT returns that stands in some place of a tree."""
    from sqlglot import exp

    from flowforge_assets.model_sql.engine import names_of

    ctes = [cte.copy() for with_ in tree.find_all(exp.With) for cte in with_.expressions if not _holds(cte, place)]
    if ctes:
        asked.set("with_", exp.With(expressions=ctes))
    return names_of(replace(query, sql=asked.sql(dialect="duckdb", comments=False)))


def _holds(cte: exp.Expr, select: exp.Expr) -> bool:
    """Whether a CTE is the SELECT's own, or comes behind it."""
    above: exp.Expr | None = select
    while above is not None:
        if above is cte:
            return True
        above = above.parent
    return False
