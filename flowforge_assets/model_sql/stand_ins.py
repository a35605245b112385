"""What has the same columns and origins as a PIVOT, an UNPIVOT or a struct made columns, in words that sqlglot follows.

For lineage alone: a stand-in need not return the same rows. Names come from DuckDB. What cannot be written so stays as
it is; its origin is then unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowforge_assets.model_sql.named_columns import names, told

if TYPE_CHECKING:
    from sqlglot import exp

    from flowforge_assets.model_sql.query import Query


def stand_in(tree: exp.Expr, query: Query) -> None:
    """Put stand-ins in their places in a tree.

    For a PIVOT over given values a GROUP BY; for an UNPIVOT a UNION ALL with a branch for each of its columns; for a
    struct that `unnest` or `struct.*` makes columns of a column for each of its fields, which may come of all that the
    struct is made of.
    """
    from sqlglot import exp

    for written in [one for one in tree.find_all(exp.Pivot) if not one.this]:
        _as_statement(written)
    for pivot in reversed(list(tree.find_all(exp.Pivot))):  # inner ones first
        made = _stacked(pivot, tree, query) if pivot.args.get("unpivot") else _grouped(pivot, tree, query)
        if made is not None:
            pivot.replace(made)
    for select in list(tree.find_all(exp.Select)):
        shown = [made for one in select.expressions for made in _fields(one, select, tree, query)]
        select.set("expressions", shown)


def _fields(one: exp.Expr, select: exp.Select, tree: exp.Expr, query: Query) -> list[exp.Expr]:
    """An entry of a SELECT's list, once for each column that it makes of a struct."""
    from sqlglot import exp

    unnests = isinstance(one.unalias(), exp.Unnest | exp.Explode)
    if not unnests and not _is_struct(one, select):
        return [one]
    made = names(one, select, tree, query)
    if made is None or (unnests and len(made) == 1):
        return [one]
    if unnests:
        return [exp.alias_(one.unalias().copy(), name, quoted=True) for name in made]
    struct = exp.column(one.args["table"].copy())
    return [
        exp.alias_(exp.StructExtract(this=struct.copy(), expression=exp.Literal.string(name)), name, quoted=True)
        for name in made
    ]


def _is_struct(one: exp.Expr, select: exp.Select) -> bool:
    """Whether an entry is `name.*` and no source of the SELECT has that name, so that a column must."""
    from sqlglot import exp

    if not isinstance(one, exp.Column) or not isinstance(one.this, exp.Star) or one.args.get("db"):
        return False
    sources = [select.args.get("from_"), *(select.args.get("joins") or []), *(select.args.get("laterals") or [])]
    known = {
        node.alias_or_name.lower()
        for source in sources
        if source is not None
        for node in source.find_all(exp.Table, exp.Subquery, exp.Lateral, exp.Unnest)
    }
    return one.table.lower() not in known


def _as_statement(written: exp.Pivot) -> None:
    """The standard's `t PIVOT (…)` and `t UNPIVOT (…)` as DuckDB's `(PIVOT t …)`, under the same name."""
    from sqlglot import exp

    source, fields = written.parent, written.args.get("fields") or []
    if source is None or source.args.get("pivots") != [written] or not fields:
        return
    bare = source.copy()
    bare.set("pivots", None)
    if written.args.get("unpivot"):
        values = [one for entry in written.expressions for one in entry.expressions or [entry]]
        into = exp.UnpivotColumns(this=exp.column(fields[0].this), expressions=[exp.column(one) for one in values])
        made = exp.Pivot(this=bare, expressions=fields[0].expressions, unpivot=True, into=into)
    else:
        made = exp.Pivot(this=bare, expressions=fields, using=written.expressions, group=written.args.get("group"))
    source.replace(exp.Subquery(this=made, alias=written.args.get("alias"), joins=source.args.get("joins")))


def _stacked(pivot: exp.Pivot, tree: exp.Expr, query: Query) -> exp.Expr | None:
    """`UNPIVOT t ON a, b INTO NAME k VALUE v` as `SELECT c, 'a' AS k, a AS v FROM t WHERE a IS NOT NULL UNION ALL …`."""
    from sqlglot import exp

    into = pivot.args.get("into")
    stacked = [made for one in pivot.expressions for made in _stacked_columns(one, pivot, tree, query)]
    returned = told(exp.select("*").from_(exp.Subquery(this=pivot.copy())), pivot, tree, query)
    values = len(into.expressions) if into is not None else 1
    if returned is None or not stacked or any(len(one) != values for one in stacked):
        return None
    kept = [exp.column(exp.to_identifier(name, quoted=True)) for name in returned[: -1 - values]]
    branches = []
    for entries in stacked:
        made = [exp.Literal.string("name"), *(one.copy() for one in entries)]
        shown = [exp.alias_(one, name, quoted=True) for one, name in zip(made, returned[-1 - values :], strict=True)]
        there = [exp.Not(this=exp.Is(this=one.copy(), expression=exp.Null())) for one in entries]
        branch = exp.select(*(one.copy() for one in kept), *shown).from_(pivot.this.copy())
        branches.append(branch.where(exp.or_(*there)))
    return exp.union(*branches, distinct=False) if len(branches) > 1 else branches[0]


def _stacked_columns(one: exp.Expr, pivot: exp.Pivot, tree: exp.Expr, query: Query) -> list[list[exp.Expr]]:
    """What an entry of an UNPIVOT's list stands for: for each row it makes, its values."""
    from sqlglot import exp

    entry = one.unalias()
    if isinstance(entry, exp.Tuple):
        return [[value.unalias() for value in entry.expressions]]
    if entry.find(exp.Columns, exp.Star) is None:
        return [[entry.unnest()]]
    if not isinstance(entry, exp.Columns | exp.Star):
        return []
    found = told(exp.select(entry.copy()).from_(pivot.this.copy()), pivot, tree, query)
    return [[exp.column(exp.to_identifier(name, quoted=True))] for name in found or []]


def _grouped(pivot: exp.Pivot, tree: exp.Expr, query: Query) -> exp.Select | None:
    """`PIVOT t ON a IN (…) USING f(b) GROUP BY c` as a SELECT with a column `f(b) FILTER (…)` for each value."""
    from sqlglot import exp

    on = [one.this for one in pivot.expressions if isinstance(one, exp.In) and isinstance(one.this, exp.Column)]
    if not isinstance(pivot.this, exp.Table) or pivot.args.get("unpivot") or not on or len(on) < len(pivot.expressions):
        return None
    using = pivot.args.get("using") or [exp.Count(this=exp.Star())]
    kept = _kept(pivot, [*on, *using], tree, query)
    shown = told(exp.select("*").from_(exp.Subquery(this=pivot.copy())), pivot, tree, query)
    if kept is None or shown is None or shown[: len(kept)] != kept or (len(shown) - len(kept)) % len(using):
        return None
    there = exp.Where(this=exp.and_(*(exp.Not(this=exp.Is(this=one.copy(), expression=exp.Null())) for one in on)))
    columns = [exp.column(exp.to_identifier(name, quoted=True)) for name in kept]
    made = [
        exp.alias_(
            exp.Filter(this=using[place % len(using)].unalias().copy(), expression=there.copy()), name, quoted=True
        )
        for place, name in enumerate(shown[len(kept) :])
    ]
    return exp.select(*columns, *made).from_(pivot.this.copy()).group_by(*(one.copy() for one in columns))


def _kept(pivot: exp.Pivot, used: list[exp.Expr], tree: exp.Expr, query: Query) -> list[str] | None:
    """The columns that stay: those of GROUP BY, else all that are used nowhere else."""
    from sqlglot import exp

    all_ = told(exp.select("*").from_(pivot.this.copy()), pivot, tree, query)
    group = pivot.args.get("group")
    if all_ is None:
        return None
    if group is not None:
        real = {name.lower(): name for name in all_}
        plain = all(isinstance(one, exp.Column) and one.name.lower() in real for one in group.expressions)
        return [real[one.name.lower()] for one in group.expressions] if plain else None
    gone = {column.name.lower() for one in used for column in one.find_all(exp.Column)}
    return [name for name in all_ if name.lower() not in gone]
