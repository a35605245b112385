"""Whether a query can be answered partition by partition of one of the tables it reads, the driving table.

It can where its rows for one partition need no driving row of another, and say themselves which partition they are of.
What is not known to be so is refused: a model that is refused here is built whole, which is never wrong.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from flowforge_assets.model_sql.reads import parse
from flowforge_assets.model_sql.remembered import remembered
from flowforge_resources.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from sqlglot import exp
    from sqlglot.optimizer.scope import Scope

    from flowforge_assets.gold.incremental_spec import Incremental

# What a clause of a SELECT may be without making a row depend on others; the rest is judged one by one, or refused.
_CLAUSES = {"with_", "expressions", "from_", "joins", "where", "group", "having", "qualify", "windows", "distinct"}
_HARMLESS = {"order", "hint", "kind", "operation_modifiers"}
_TABLE_PARTS = {"this", "db", "catalog", "alias", "joins"}
# Finer units that lie wholly within a partition.
_WITHIN = {"day": ("DAY",), "month": ("DAY", "MONTH"), "year": ("DAY", "MONTH", "QUARTER", "YEAR"), "value": ()}
_FIX = "Change the query, or leave `incremental` out: the table is then built whole."


class _NotPartitionwiseError(Exception):
    """What in the query needs rows of other partitions."""


def require_partitionwise(sql: str, where: str, declared: Incremental, driving: Collection[str]) -> None:
    """Refuse a query whose result for one partition may depend on driving rows of another.

    Args:
        sql: one SELECT statement that parses.
        where: its file, for the error.
        declared: the driving table and its partition column.
        driving: all names under which the query may call the driving table.

    Raises:
        DefinitionError: naming what in the query cannot be done partition by partition.
    """
    about = ["partitionwise", sql, declared.model_dump(exclude={"full_every"}), sorted(driving)]
    if problem := remembered(about, lambda: _problem(sql, where, declared, driving)):
        raise DefinitionError(
            where, f"the model cannot be built by partitions of '{declared.driving}': {problem}", _FIX
        )


def _problem(sql: str, where: str, declared: Incremental, driving: Collection[str]) -> str | None:
    try:
        _Query(parse(sql, where), declared, driving).require()
    except _NotPartitionwiseError as error:
        return str(error)
    return None


class _Query:
    """One query, the scopes from the outermost to the one that reads the driving table, and what they do."""

    def __init__(self, tree: exp.Expr, declared: Incremental, driving: Collection[str]) -> None:
        from sqlglot.optimizer.scope import traverse_scope

        self.tree, self.declared = tree, declared
        self.driving = {name.lower() for name in driving}
        self.scopes = traverse_scope(tree)
        self.carriers: dict[int, tuple[str, Any]] = {}

    def require(self) -> None:
        self._require_stable()
        outermost = self.scopes[-1]
        for scope in self._chain():
            self._require_scope(scope)
        if not self._exposes(outermost, self.declared.output):
            raise _NotPartitionwiseError(
                f"its column `{self.declared.output}` is not plainly `{self.declared.column}` of '{self.declared.driving}', or a date_trunc of it within one {self.declared.every}."
            )

    def _require_stable(self) -> None:
        for name in _functions(self.tree):
            if name in _engine().unstable:
                raise _NotPartitionwiseError(f"`{name}` gives another result at every build.")

    def _chain(self) -> list[Scope]:
        """Scopes from the one that reads the driving table to the outermost; each is used once, in a FROM."""
        from sqlglot import exp

        reading = [
            (scope, alias, node)
            for scope in self.scopes
            for alias, (node, source) in scope.selected_sources.items()
            if isinstance(source, exp.Table) and self._is_driving(source)
        ]
        named = [table for table in self.tree.find_all(exp.Table) if self._is_driving(table)]
        shadowed = {cte.alias_or_name.lower() for cte in self.tree.find_all(exp.CTE)} & self.driving
        if shadowed:
            raise _NotPartitionwiseError(f"a CTE bears the name '{shadowed.pop()}' too.")
        if len(reading) != 1 or len(named) != 1:
            raise _NotPartitionwiseError(
                f"it must read '{self.declared.driving}' once, in a FROM, and does so {len(named)} times."
            )
        chain: list[Scope] = []
        scope, alias, node = reading[0]
        while True:
            self.carriers[id(scope)] = (alias, node.parent if isinstance(node.parent, exp.Subquery) else node)
            chain.append(scope)
            if scope is self.scopes[-1]:
                return chain
            users = [
                (user, name, found)
                for user in self.scopes
                for name, (found, source) in user.selected_sources.items()
                if source is scope
            ]
            if len(users) != 1:
                raise _NotPartitionwiseError(
                    f"'{self.declared.driving}' is read in a part that is used {len(users)} times, or not in a FROM."
                )
            scope, alias, node = users[0]

    def _is_driving(self, table: exp.Table) -> bool:
        return ".".join(part for part in (table.db, table.name) if part).lower() in self.driving

    # -- what a scope does ----------------------------------------------------------------------------------------

    def _require_scope(self, scope: Scope) -> None:
        from sqlglot import exp

        select = scope.expression
        if not isinstance(select, exp.Select):
            raise _NotPartitionwiseError("a set operation or PIVOT needs all of its rows.")
        for clause, value in select.args.items():
            if value and clause not in _CLAUSES | _HARMLESS:
                raise _NotPartitionwiseError(f"{clause.rstrip('_').upper()} counts rows of all partitions.")
        self._require_source(scope, select)
        self._require_groups(scope, select)
        self._require_distinct(scope, select)
        for window in self._windows(scope, select):
            if not any(self._tells(one, scope) for one in window):
                raise _NotPartitionwiseError(
                    f"a window needs `{self.declared.column}` in its PARTITION BY, else it looks across partitions."
                )

    def _require_source(self, scope: Scope, select: exp.Select) -> None:
        """The driving rows come first, or by an inner join: no other row waits for one of theirs."""
        from sqlglot import exp

        node: Any = self.carriers[id(scope)][1]
        alias = node.args.get("alias")
        if isinstance(node, exp.Table) and not isinstance(node.this, exp.Identifier):
            raise _NotPartitionwiseError("a function in FROM stands in its place.")
        if any(value and name not in _TABLE_PARTS for name, value in node.args.items()):
            raise _NotPartitionwiseError("a sample or PIVOT needs rows of all partitions.")
        if alias is not None and alias.args.get("columns"):
            raise _NotPartitionwiseError("columns renamed in an alias hide where they come from.")
        cte = scope.expression.parent
        if isinstance(cte, exp.CTE) and cte.args["alias"].args.get("columns"):
            raise _NotPartitionwiseError("columns renamed in a WITH hide where they come from.")
        for join in select.find_all(exp.Join):
            if join.side in {"RIGHT", "FULL"} or join.method == "POSITIONAL":
                raise _NotPartitionwiseError("a RIGHT, FULL or POSITIONAL JOIN keeps rows that belong to no partition.")
        while node is not select:
            above = node.parent
            if isinstance(above, exp.Join) and (above.side or above.method or above.kind not in {"", "INNER", "CROSS"}):
                raise _NotPartitionwiseError(
                    f"'{self.declared.driving}' must be to the left of a LEFT, ASOF, SEMI or ANTI JOIN."
                )
            if not isinstance(above, exp.From | exp.Join | exp.Table | exp.Subquery | exp.Select):
                raise _NotPartitionwiseError(f"'{self.declared.driving}' is not read in a FROM.")
            node = above

    def _require_groups(self, scope: Scope, select: exp.Select) -> None:
        group = select.args.get("group")
        if group is None:
            if any(True for _ in aggregates_of(scope)):
                raise _NotPartitionwiseError(f"an aggregate needs `{self.declared.column}` in a GROUP BY.")
            return
        if any(group.args.get(kind) for kind in ("cube", "rollup", "grouping_sets", "totals")) or any(
            type(one).__name__ in {"Cube", "Rollup", "GroupingSets"} for one in group.walk()
        ):
            raise _NotPartitionwiseError("ROLLUP, CUBE and GROUPING SETS add up all partitions.")
        keys = (
            [one for one in select.expressions if not any(_is_aggregate(node) for node in one.walk())]
            if group.args.get("all")
            else [self._by_place(one, select) for one in group.expressions]
        )
        if not any(self._tells(one, scope) for one in keys):
            raise _NotPartitionwiseError(f"GROUP BY does not name `{self.declared.column}`.")

    def _require_distinct(self, scope: Scope, select: exp.Select) -> None:
        distinct = select.args.get("distinct")
        if distinct is None:
            return
        if distinct.args.get("on"):
            raise _NotPartitionwiseError("DISTINCT ON keeps any one row.")
        if not any(self._tells(one, scope) or self._is_star_of_carrier(one, scope) for one in select.expressions):
            raise _NotPartitionwiseError(f"DISTINCT without `{self.declared.column}` compares rows of all partitions.")

    def _windows(self, scope: Scope, select: exp.Select) -> Iterator[list[exp.Expr]]:
        """The PARTITION BY of each window; a named one has what its name stands for too."""
        from sqlglot import exp

        named = {one.this.name.lower(): one for one in select.args.get("windows") or []}
        for window in scope.find_all(exp.Window):
            if window.parent is select and window.arg_key == "windows":
                continue
            base = named.get(window.alias.lower()) if window.alias else None
            yield [*window.args.get("partition_by", []), *(base.args.get("partition_by", []) if base else [])]

    def _by_place(self, key: exp.Expr, select: exp.Select) -> exp.Expr:
        """`GROUP BY 1` stands for the first column."""
        from sqlglot import exp

        if isinstance(key, exp.Literal) and not key.is_string and not any(one.is_star for one in select.expressions):
            place = int(key.this) - 1
            return select.expressions[place] if 0 <= place < len(select.expressions) else key
        return key

    # -- where a value comes from ---------------------------------------------------------------------------------

    def _tells(self, expression: exp.Expr, scope: Scope, *, aliases: bool = True) -> bool:
        """Whether an expression of a scope says to which partition a row belongs, and no more than the column does.

        `aliases`: whether a bare name in it may stand for another column of the same SELECT.
        """
        from sqlglot import exp

        if isinstance(expression, exp.Alias | exp.Paren):
            return self._tells(expression.this, scope, aliases=aliases)
        if isinstance(expression, exp.Column):
            return self._column_tells(expression, scope, aliases=aliases)
        if isinstance(expression, exp.TimestampTrunc | exp.DateTrunc):
            unit = expression.args.get("unit")
            fits = unit is not None and unit.name.upper() in _WITHIN[self.declared.every]
            return fits and self._tells(expression.this, scope, aliases=aliases)
        if isinstance(expression, exp.Cast) and not isinstance(expression, exp.TryCast):
            to_day = expression.to.is_type("date") and self.declared.every != "value"
            return to_day and self._tells(expression.this, scope, aliases=aliases)
        return False

    def _column_tells(self, column: exp.Column, scope: Scope, *, aliases: bool) -> bool:
        if column.is_star:
            return False
        if column.table:
            return column.table.lower() == self.carriers[id(scope)][0].lower() and self._offers(scope, column.name)
        offered = self._offers(scope, column.name)
        if not aliases:
            return offered
        # DuckDB takes a bare name for the table's column first; where an alias has it too, both must tell.
        namesakes = [one for one in scope.expression.expressions if one.alias.lower() == column.name.lower()]
        told = all(self._tells(one, scope, aliases=False) for one in namesakes)
        return told and (offered or len(namesakes) == 1)

    def _offers(self, scope: Scope, name: str) -> bool:
        """Whether a column of that name, of what carries the driving rows in a scope, tells the partition."""
        from sqlglot import exp

        alias, _ = self.carriers[id(scope)]
        source = scope.selected_sources[alias][1]
        if isinstance(source, exp.Table):
            return name.lower() == self.declared.column.lower()
        return self._exposes(source, name)

    def _exposes(self, scope: Scope, name: str) -> bool:
        """Whether a scope returns a column of that name that tells the partition."""
        found = [one for one in scope.expression.expressions if one.alias_or_name.lower() == name.lower()]
        if found:
            return len(found) == 1 and self._tells(found[0], scope)
        stars = [one for one in scope.expression.expressions if self._is_star_of_carrier(one, scope)]
        return len(stars) == 1 and self._offers(scope, name) and not _mentions(stars[0], name)

    def _is_star_of_carrier(self, expression: exp.Expr, scope: Scope) -> bool:
        """`*` where the driving rows come first in FROM, or `alias.*`: the first of its columns of a name are theirs."""
        from sqlglot import exp

        alias, node = self.carriers[id(scope)]
        if isinstance(expression, exp.Column) and isinstance(expression.this, exp.Star):
            return expression.table.lower() == alias.lower()
        return isinstance(expression, exp.Star) and isinstance(node.parent, exp.From)


def _mentions(star: exp.Expr, name: str) -> bool:
    """Whether EXCLUDE, REPLACE or RENAME of a star names a column."""
    from sqlglot import exp

    return any(one.name.lower() == name.lower() for one in star.find_all(exp.Identifier)) if star.args else False


# -- what DuckDB says of its functions ----------------------------------------------------------------------------


class _Engine:
    """Names of DuckDB's aggregates, and of functions whose result is not settled by their arguments; macros expanded."""

    def __init__(self) -> None:
        import duckdb

        with duckdb.connect() as connection:
            found = connection.execute(
                "SELECT DISTINCT function_name, function_type, stability, macro_definition FROM duckdb_functions()"
            ).fetchall()
        macros = {(name, text.lower()) for name, kind, _, text in found if kind == "macro" and text}
        self.aggregates = _used_by(macros, {name for name, kind, *_ in found if kind == "aggregate"})
        unsettled = {name for name, kind, stable, _ in found if kind == "scalar" and stable != "CONSISTENT"} - {"error"}
        keywords = {"current_time", "current_timestamp", "localtime", "localtimestamp"}
        self.unstable = _used_by(macros, unsettled | keywords)


def _used_by(macros: set[tuple[str, str]], names: set[str]) -> set[str]:
    """The names, and those of macros that use one of them."""
    words = {macro: set(re.findall(r"\w+(?=\()", text)) for macro, text in macros}
    found: set[str] = set()
    while more := {macro for macro, used in words.items() if used & (names | found)} - found - names:
        found |= more
    return names | found


@lru_cache(maxsize=1)
def _engine() -> _Engine:
    return _Engine()


def _functions(tree: exp.Expr) -> Iterator[str]:
    from sqlglot import exp

    for node in tree.find_all(exp.Func):
        yield _name(node)


def _name(node: exp.Func) -> str:
    """The function's name in DuckDB."""
    from sqlglot import exp

    if isinstance(node, exp.Anonymous):
        return str(node.this).lower()
    return node.sql(dialect="duckdb").partition("(")[0].strip().lower()


def _is_aggregate(node: exp.Expr) -> bool:
    from sqlglot import exp

    if isinstance(node, exp.AggFunc):
        return True
    return isinstance(node, exp.Func) and _name(node) in _engine().aggregates


def aggregates_of(scope: Scope) -> Iterator[exp.Expr]:
    """The aggregates of a SELECT, those of windows left out."""
    from sqlglot import exp

    for node in scope.walk():
        if _is_aggregate(node) and not _is_windowed(node):
            yield node
    for columns in scope.find_all(exp.Columns):
        if columns.find_ancestor(exp.AggFunc):
            yield columns


def _is_windowed(node: exp.Expr) -> bool:
    """Whether an aggregate is one of a window: `sum(x) OVER (…)`, also with FILTER or IGNORE NULLS around it."""
    from sqlglot import exp

    above = node.parent
    while isinstance(above, exp.Filter | exp.IgnoreNulls | exp.RespectNulls | exp.WithinGroup | exp.Order):
        above = above.parent
    return isinstance(above, exp.Window)
