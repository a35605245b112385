"""`COLUMNS(…)`, PIVOT and unnested structs written out: DuckDB says which columns they stand for; sqlglot does not know.

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


def stand_in(tree: exp.Expr, query: Query) -> None:
    """Put, in a tree, what has the same columns and origins, not the same rows, where sqlglot does not know the columns.

    For a PIVOT over given values a GROUP BY; for a struct that `unnest` makes columns of a column for each of its fields,
    which may come of all that the struct is made of.
    """
    from sqlglot import exp

    for select in list(tree.find_all(exp.Select)) if tree.find(exp.Unnest, exp.Explode) else []:
        written = [made for one in select.expressions for made in _fields(one, select, tree, query)]
        select.set("expressions", written)
    for pivot in list(tree.find_all(exp.Pivot)):
        made = _grouped(pivot, tree, query)
        if made is not None:
            pivot.replace(made)


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
    columns = _names(meant[0], select, tree, query)
    names = _names(one, select, tree, query)
    if columns is None or names is None or len(columns) != len(names) or len(set(columns)) < len(columns):
        return [one]
    return [exp.alias_(_with(one, column), name, quoted=True) for column, name in zip(columns, names, strict=True)]


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


def _names(entry: exp.Expr, select: exp.Select, tree: exp.Expr, query: Query) -> list[str] | None:
    """The names of what a SELECT returns whose list is this entry alone; None where DuckDB does not understand that."""
    asked: Any = select.copy()
    for clause in _BEHIND:
        asked.set(clause, None)
    asked.set("expressions", [entry.copy()])
    return _told(asked, select, tree, query)


def _told(asked: Any, place: exp.Expr, tree: exp.Expr, query: Query) -> list[str] | None:
    """The names of what a SELECT returns that stands in some place of a tree."""
    from sqlglot import exp

    from flowforge_assets.model_sql.engine import names_of

    ctes = [cte.copy() for with_ in tree.find_all(exp.With) for cte in with_.expressions if not _holds(cte, place)]
    if ctes:
        asked.set("with_", exp.With(expressions=ctes))
    return names_of(replace(query, sql=asked.sql(dialect="duckdb", comments=False)))


def _fields(one: exp.Expr, select: exp.Select, tree: exp.Expr, query: Query) -> list[exp.Expr]:
    """An entry of a SELECT's list, once for each column that `unnest` makes of it."""
    from sqlglot import exp

    if not isinstance(one.unalias(), exp.Unnest | exp.Explode):
        return [one]
    names = _names(one, select, tree, query)
    if names is None or len(names) == 1:
        return [one]
    return [exp.alias_(one.unalias().copy(), name, quoted=True) for name in names]


def _grouped(pivot: exp.Pivot, tree: exp.Expr, query: Query) -> exp.Select | None:
    """`PIVOT t ON a IN (…) USING f(b) GROUP BY c` as a SELECT with a column `f(b) FILTER (…)` for each value."""
    from sqlglot import exp

    on = [one.this for one in pivot.expressions if isinstance(one, exp.In) and isinstance(one.this, exp.Column)]
    if not isinstance(pivot.this, exp.Table) or pivot.args.get("unpivot") or not on or len(on) < len(pivot.expressions):
        return None
    using = pivot.args.get("using") or [exp.Count(this=exp.Star())]
    kept = _kept(pivot, [*on, *using], tree, query)
    names = _told(exp.select("*").from_(exp.Subquery(this=pivot.copy())), pivot, tree, query)
    if kept is None or names is None or names[: len(kept)] != kept or (len(names) - len(kept)) % len(using):
        return None
    there = exp.Where(this=exp.and_(*(exp.Not(this=exp.Is(this=one.copy(), expression=exp.Null())) for one in on)))
    columns = [exp.column(exp.to_identifier(name, quoted=True)) for name in kept]
    made = [
        exp.alias_(
            exp.Filter(this=using[place % len(using)].unalias().copy(), expression=there.copy()), name, quoted=True
        )
        for place, name in enumerate(names[len(kept) :])
    ]
    return exp.select(*columns, *made).from_(pivot.this.copy()).group_by(*(one.copy() for one in columns))


def _kept(pivot: exp.Pivot, used: list[exp.Expr], tree: exp.Expr, query: Query) -> list[str] | None:
    """The columns that stay: those of GROUP BY, else all that are used nowhere else."""
    from sqlglot import exp

    all_ = _told(exp.select("*").from_(pivot.this.copy()), pivot, tree, query)
    group = pivot.args.get("group")
    if all_ is None:
        return None
    if group is not None:
        real = {name.lower(): name for name in all_}
        plain = all(isinstance(one, exp.Column) and one.name.lower() in real for one in group.expressions)
        return [real[one.name.lower()] for one in group.expressions] if plain else None
    gone = {column.name.lower() for one in used for column in one.find_all(exp.Column)}
    return [name for name in all_ if name.lower() not in gone]


def _holds(cte: exp.Expr, select: exp.Expr) -> bool:
    """Whether a CTE is the SELECT's own, or comes behind it."""
    above: exp.Expr | None = select
    while above is not None:
        if above is cte:
            return True
        above = above.parent
    return False
