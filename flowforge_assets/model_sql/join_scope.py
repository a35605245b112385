"""One SELECT on the way of a query's driving rows, as questions: the rows that go into its joins, and that come out.

Belongs here: making those SELECTs from the one there is. Does not: which SELECTs are on the way (`row_keeping`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.optimizer.scope import Scope

# The number of a driving row.
ROW = "_flowforge_row"
_REMOVED = ("group", "having", "qualify", "distinct", "order", "limit", "offset", "windows", "with_", "sample")
_LONGEST = 120


class NotAnalysedError(Exception):
    """What in the query keeps it from being analysed."""


class JoinScope:
    """One SELECT on the way: its joins, and which conditions read the carried row alone."""

    def __init__(self, scope: Scope, alias: str, carrier: exp.Expr) -> None:
        from sqlglot import exp

        self.alias = alias
        self.select: Any = scope.expression.copy()
        self.select.set("with_", None)
        self._put(carrier)
        every = self.select.args.get("joins") or []
        self.joins = [join for join in every if join.kind not in {"SEMI", "ANTI"}]
        written = scope.expression.args.get("joins") or []
        self.said = [_said(join) for join in written if join.kind not in {"SEMI", "ANTI"}]
        self.semi = len(self.joins) < len(every)
        where = self.select.args.get("where")
        conditions = list(where.this.flatten()) if where and isinstance(where.this, exp.And) else []
        conditions = conditions or ([where.this] if where else [])
        self.own = [one for one in conditions if tables_of(one) <= {alias}]
        linking = self._linking([one for one in conditions if one not in self.own])
        self.linking = linking
        self.others = [
            one.sql(dialect="duckdb", comments=False)
            for one in conditions
            if not any(one is known for known in (*self.own, *linking))
        ]
        # Counted in the order of the WHERE, behind all joins.
        self.rejecting = [
            (one.sql(dialect="duckdb", comments=False), told)
            for one in conditions
            if not any(one is known for known in (*self.own, *linking))
            and (told := self._rejects_absent(one)) is not None
        ]
        self.only_left = self.first and all(join.side == "LEFT" for join in self.joins)

    @property
    def first(self) -> bool:
        """Whether the carried rows come first in FROM."""
        return bool(self.select.args["from_"].this.alias_or_name == self.alias)

    def _put(self, carrier: exp.Expr) -> None:
        """Let the driving rows, numbered, stand where they are read."""
        from sqlglot import exp

        for node in (self.select.args["from_"], *(self.select.args.get("joins") or [])):
            if isinstance(node.this, exp.Lateral | exp.Unnest) or (
                isinstance(node.this, exp.Table) and not isinstance(node.this.this, exp.Identifier)
            ):
                raise NotAnalysedError("UNNEST, LATERAL or a table function multiplies rows on purpose.")
            if node.this.alias_or_name == self.alias:
                placed = carrier.copy()
                placed.set("alias", exp.TableAlias(this=exp.to_identifier(self.alias, quoted=True)))
                inner = node.this.args.get("joins")
                if inner:
                    raise NotAnalysedError("its joins are in brackets.")
                node.set("this", placed)

    def _linking(self, conditions: list[exp.Expr]) -> list[exp.Expr]:
        """Conditions of the WHERE that join what a comma or CROSS JOIN only puts side by side."""
        bare = [
            join
            for join in self.joins
            if not (join.args.get("on") or join.args.get("using") or join.method == "NATURAL")
        ]
        bare = [join for join in bare if join.method != "POSITIONAL"]
        links = [one for one in conditions if len(tables_of(one)) > 1] if bare else []
        linked = {table for one in links for table in tables_of(one)}
        if any(join.this.alias_or_name not in linked for join in bare):
            raise NotAnalysedError("a CROSS JOIN multiplies rows on purpose.")
        return links

    def _rejects_absent(self, condition: exp.Expr) -> exp.Expr | None:
        """The condition, or that there is a row of every LEFT JOIN it reads: what neither holds for, it loses unasked.

        None where it reads no such join, or says itself that the row must be there.
        """
        from sqlglot import exp

        if isinstance(condition, exp.Not) and isinstance(condition.this, exp.Is):
            return None
        there = [column for name in sorted(tables_of(condition)) if (column := self._of_left_join(name)) is not None]
        if not there:
            return None
        present = exp.and_(*(exp.Not(this=exp.Is(this=column.copy(), expression=exp.Null())) for column in there))
        holds = exp.Coalesce(this=exp.paren(condition.copy()), expressions=[exp.false()])
        return exp.paren(exp.or_(holds, present))

    def _of_left_join(self, alias: str) -> exp.Column | None:
        """A column of a LEFT JOIN's table that is null only where it has no row for ours: one that must be equal."""
        from sqlglot import exp

        for join in self.joins:
            on = join.args.get("on")
            if join.side == "LEFT" and join.this.alias_or_name == alias and on is not None:
                each = list(on.flatten()) if isinstance(on, exp.And) else [on]
                sides = [side for one in each if isinstance(one, exp.EQ) for side in (one.this, one.expression)]
                return next((one for one in sides if isinstance(one, exp.Column) and one.table == alias), None)
        return None

    def _row(self) -> exp.Column:
        from sqlglot import exp

        return exp.column(ROW, table=exp.to_identifier(self.alias, quoted=True))

    def with_row(self) -> exp.Select:
        """The SELECT as it is, with the number of the driving row behind its columns."""
        from sqlglot import exp

        made: exp.Select = self.select.copy().select(exp.alias_(self._row(), ROW))
        return made

    def expected(self) -> exp.Select:
        """The carried rows that go into the joins."""
        from sqlglot import exp

        carried = next(
            node.this
            for node in (self.select.args["from_"], *(self.select.args.get("joins") or []))
            if node.this.alias_or_name == self.alias
        )
        made = exp.select(self._row()).from_(carried.copy())
        return made.where(*(one.copy() for one in self.own)) if self.own else made

    def joined(self, places: int, conditions: int = 0) -> exp.Select:
        """The carried rows that come out of the first joins, and of the first conditions that reject an absent row."""
        made: exp.Select = self.select.copy()
        for clause in _REMOVED:
            made.set(clause, None)
        made.set("expressions", [self._row()])
        made.set("joins", [join.copy() for join in self.joins[:places]])
        made.set("where", None)
        here = {made.args["from_"].this.alias_or_name, *(join.this.alias_or_name for join in self.joins[:places])}
        if self.alias not in here:  # the driving table is joined later: nothing to count yet
            return self.expected()
        kept = [*self.own, *(one for one in self.linking if tables_of(one) <= here)]
        kept += [one for _, one in self.rejecting[:conditions]]
        return made.where(*(one.copy() for one in kept)) if kept else made


def tables_of(expression: exp.Expr) -> set[str]:
    """The sources whose columns an expression reads, by the names a SELECT has for them."""
    from sqlglot import exp

    return {str(column.table) for column in expression.find_all(exp.Column)}


def _said(join: exp.Expr) -> str:
    said = join.sql(dialect="duckdb", comments=False).lstrip(", ")
    return said if len(said) <= _LONGEST else said[: _LONGEST - 1] + "…"
