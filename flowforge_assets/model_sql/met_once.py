"""Whether each row that goes into a SELECT's joins can meet one row of every joined table at most.

It does where the joined rows differ in what the join's equalities ask of them. Then no join multiplies, and counts alone
tell whether one loses. Belongs here: the queries for those keys, and the column of an aggregate that holds its counts.
Does not: asking them (`flowforge_assets.gold.rows_kept`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowforge_assets.model_sql.join_scope import tables_of
from flowforge_assets.model_sql.query import Query

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlglot import exp

    from flowforge_assets.model_sql.join_scope import JoinScope

_KEEPING_SIDES = ("", "LEFT")
_PLAIN_KINDS = ("", "INNER", "OUTER")
# Equal values of these may be printed, hashed or grouped apart.
_INEXACT = ("FLOAT", "DOUBLE", "STRUCT", "MAP", "UNION", "[]")
# How sqlglot names a column that has no name, and DuckDB does not.
_UNNAMED = "_col_"


def partners(scope: JoinScope, finish: Callable[[exp.Select], str], about: Query) -> tuple[str, ...]:
    """Queries for the keys of each joined table, never null; none where a row may meet several for another reason.

    Args:
        scope: the SELECT.
        finish: makes SQL of a part of it.
        about: the query it is of, with the columns of all that the parts read.
    """
    from sqlglot import exp

    if not scope.first or scope.linking or not scope.joins:
        return ()
    asked = [_equalities(join) for join in scope.joins]
    if not all(asked) or not _of_one_type(scope, [pair for some in asked for pair in some], finish, about):
        return ()
    made = []
    for join, pairs in zip(scope.joins, asked, strict=True):
        keys = [key for key, _ in pairs]
        present = [exp.Not(this=exp.Is(this=key.copy(), expression=exp.Null())) for key in keys]
        query = exp.select(*(exp.alias_(key.copy(), f"k{place}") for place, key in enumerate(keys)))
        made.append(finish(query.from_(join.this.copy()).where(*present)))
    return tuple(made)


def _equalities(join: Any) -> list[tuple[exp.Expr, exp.Expr]]:
    """What of the joined table must equal what of those before it; none where that is not all there is to the join.

    Further conditions only make fewer rows meet.
    """
    from sqlglot import exp

    on = join.args.get("on")
    if on is None or join.side not in _KEEPING_SIDES or join.kind not in _PLAIN_KINDS or join.method:
        return []
    alias = str(join.this.alias_or_name)
    on, found = on.unnest(), []
    for one in on.flatten() if isinstance(on, exp.And) else [on]:
        sides = (one.this, one.expression) if isinstance(one, exp.EQ) and not one.find(exp.Collate) else ()
        for mine, other in (sides, sides[::-1]) if sides else ():
            if tables_of(mine) == {alias} and alias not in tables_of(other):
                found.append((mine, other))
    return found


def _of_one_type(
    scope: JoinScope, pairs: list[tuple[exp.Expr, exp.Expr]], finish: Callable[[exp.Select], str], about: Query
) -> bool:
    """Whether both sides are compared as they are: `'1'` and `'01'` differ, and are both equal to the number 1."""
    from sqlglot import exp

    from flowforge_assets.model_sql.engine import columns_of

    sides = [exp.alias_(side.copy(), f"s{place}") for place, side in enumerate(side for pair in pairs for side in pair)]
    asked = scope.joined(len(scope.joins))
    asked.set("expressions", sides)
    columns = columns_of(Query(finish(asked), about.where, about.workflow, about.tables))
    kinds = list(columns.values()) if columns else []
    return (
        len(kinds) == len(sides)
        and all(one == other for one, other in zip(kinds[::2], kinds[1::2], strict=True))
        and not any(part in kind for kind in kinds for part in _INEXACT)
    )


def counted(select: exp.Expr) -> str:
    """The column of a SELECT that says how many rows each of its groups is made of; empty where none does."""
    from sqlglot import exp

    group = select.args.get("group")
    if group is not None and group.find(exp.GroupingSets, exp.Cube, exp.Rollup):
        return ""
    names = [one.alias_or_name.lower() for one in select.args["expressions"]]
    for one, name in zip(select.args["expressions"], names, strict=True):
        counts = isinstance(one.unalias(), exp.Count) and isinstance(one.unalias().this, exp.Star)
        if counts and names.count(name) == 1 and not name.startswith(_UNNAMED):
            return str(one.alias_or_name)
    return ""
