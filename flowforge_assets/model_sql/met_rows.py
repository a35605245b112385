"""By which columns the rows of other tables are found that a row of the driving table meets.

A query that is answered partition by partition depends on another table only by the rows its driving rows meet, where
every use of that table is a join that demands equal columns. What is not known to be so is left out: any partition may
depend on such a table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowforge_assets.model_sql.remembered import remembered
from flowforge_resources.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlglot import exp
    from sqlglot.optimizer.scope import Scope

    from flowforge_assets.model_sql.query import Query

# A SELECT of one table that hands on its rows one by one.
_ROW_BY_ROW = {"expressions", "from_", "where"}
_PLAIN_TABLE = {"this", "db", "catalog", "alias", "joins"}


@dataclass(frozen=True)
class Step:
    """A table whose rows are found by equal columns: (its own, that of the step before; of the driving table at first)."""

    table: str
    equal: tuple[tuple[str, str], ...]


# From the driving table to the one that is met.
Way = tuple[Step, ...]


@dataclass(frozen=True)
class _Source:
    """What a FROM has of a table: the table's node, and its columns by the names they have there, in small letters."""

    table: str
    node: int
    columns: Mapping[str, str]


class _NotFollowedError(Exception):
    """The query reads something that is no table known, or reads its driving rows in several places."""


def ways_to(query: Query, driving: Collection[str], beside: Sequence[Step] = ()) -> dict[str, list[Way]]:
    """How the tables of a query are met, by the names they are known under; without those that any row may depend on.

    A table that is in `query.tables` and not read at all has no way: nothing depends on it.

    Args:
        query: one that can be answered partition by partition of the driving table, with the columns of all it reads.
        driving: all names under which it may call the driving table.
        beside: lookups and the like, which are declared: their columns equal columns that the query returns.
    """
    tables = {name: list(columns.items()) for name, columns in query.tables.items()}
    asked = [[one.table, [list(pair) for pair in one.equal]] for one in beside]
    question = ["met rows", query.sql, query.workflow, sorted(tables.items()), sorted(driving), asked]
    found = remembered(question, lambda: _found(query, driving, beside))
    return {
        name: [tuple(Step(table, tuple((a, b) for a, b in equal)) for table, equal in way) for way in ways]
        for name, ways in found.items()
    }


def _found(query: Query, driving: Collection[str], beside: Sequence[Step]) -> dict[str, Any]:
    """As JSON can hold it; nothing where sqlglot cannot take the query apart."""
    from sqlglot.errors import SqlglotError

    try:
        ways = _Met(query, driving).ways(beside)
    except (_NotFollowedError, SqlglotError, DefinitionError, RecursionError, KeyError):
        return {}
    return {name: [[[step.table, step.equal] for step in way] for way in found] for name, found in ways.items()}


class _Met:
    """One query, and the SELECTs its driving rows pass."""

    def __init__(self, query: Query, driving: Collection[str]) -> None:
        from sqlglot import exp
        from sqlglot.optimizer.scope import traverse_scope

        from flowforge_assets.model_sql.origins import qualified

        self.query, self.driving = query, {name.lower() for name in driving}
        self.tree = qualified(query)
        self.scopes = traverse_scope(self.tree)
        self.tables = [table for table in self.tree.find_all(exp.Table) if table.db]
        self.names = {id(table): self._name(table) for table in self.tables}
        self.carriers = self._carriers()

    def _name(self, table: exp.Table) -> str:
        """The name by which a table is known; the driving one has none."""
        full = f"{table.db}.{table.name}".lower()
        own = full.removeprefix(f"{self.query.workflow.lower()}.")
        if {full, own} & self.driving:
            return ""
        known = [name for name in self.query.tables if name.lower() in (own, full)]
        if len(known) != 1:
            raise _NotFollowedError
        return known[0]

    def _carriers(self) -> dict[int, tuple[Scope, str]]:
        """Scopes from the one that reads the driving table to the outermost, each with the alias of its rows."""
        wanted: exp.Table | Scope = next(table for table in self.tables if not self.names[id(table)])
        chain: dict[int, tuple[Scope, str]] = {}
        while True:
            users = self._users(wanted)
            if len(users) != 1:
                raise _NotFollowedError
            scope, alias = users[0]
            chain[id(scope)] = scope, alias
            if scope is self.scopes[-1]:
                return chain
            wanted = scope

    # -- the tables -------------------------------------------------------------------------------------------------

    def ways(self, beside: Sequence[Step]) -> dict[str, list[Way]]:
        """The ways to each table all of whose uses are known."""
        found: dict[str, list[Way]] = {name: [] for name in self.query.tables if name.lower() not in self.driving}
        joined: dict[int, Way] = {}
        for scope, carrier in self.carriers.values():
            joined |= self._joined(scope, carrier)
        lost = {name for node, name in self.names.items() if name and node not in joined}
        for node, way in joined.items():
            found[self.names[node]].append(way)
        for one in beside:
            told = [(own, self._returned(self.scopes[-1], other)) for own, other in one.equal]
            equal = tuple((own, other) for own, other in told if other)
            if equal:
                found[one.table].append((Step(one.table, equal),))
            else:
                lost.add(one.table)
        return {name: list(dict.fromkeys(ways)) for name, ways in found.items() if name not in lost}

    def _joined(self, scope: Scope, carrier: str) -> dict[int, Way]:
        """Ways to the tables that a SELECT joins to its driving rows, one after another, by their node."""
        reached: dict[str, tuple[_Source, Way]] = {}
        waiting = {
            alias: source
            for alias, found in _sources(scope).items()
            if alias != carrier and (source := self._source(*found)) is not None
        }
        while new := {
            alias: way for alias, source in waiting.items() if (way := self._way(scope, alias, source, reached))
        }:
            reached |= {alias: (waiting.pop(alias), way) for alias, way in new.items()}
        return {source.node: way for source, way in reached.values()}

    def _way(self, scope: Scope, alias: str, source: _Source, reached: Mapping[str, tuple[_Source, Way]]) -> Way | None:
        """How a source is found: by columns of the driving rows, or of a source that is found so."""
        pairs = [(source.columns[mine], other) for mine, other in _equal(scope, alias) if mine in source.columns]
        own = tuple((mine, column) for mine, other in pairs if (column := self._driving_column(scope, other)))
        if own:
            return (Step(source.table, own),)
        for known, (by, way) in reached.items():
            linked = tuple(
                (mine, by.columns[other.name.lower()])
                for mine, other in pairs
                if other.table == known and other.name.lower() in by.columns
            )
            if linked:
                return (*way, Step(source.table, linked))
        return None

    def _source(self, node: exp.Expr, source: exp.Table | Scope) -> _Source | None:
        """A table, read directly or through SELECTs that hand on its rows one by one and are used nowhere else."""
        from sqlglot import exp

        if isinstance(source, exp.Table):
            alias = node.args.get("alias")
            plain = not any(value and name not in _PLAIN_TABLE for name, value in node.args.items())
            if not plain or not self.names.get(id(node)) or (alias is not None and alias.args.get("columns")):
                return None
            table = self.names[id(node)]
            return _Source(table, id(node), {name.lower(): name for name in self.query.tables[table]})
        select = source.expression
        inner = list(_sources(source).values())
        if (
            not isinstance(select, exp.Select)
            or len(inner) != 1
            or len(self._users(source)) != 1
            or _looks_around(source)
        ):
            return None
        below = self._source(*inner[0])
        clauses = {clause for clause, value in select.args.items() if value}
        alias = select.parent.args.get("alias") if select.parent else None
        if below is None or not clauses <= _ROW_BY_ROW or (alias is not None and alias.args.get("columns")):
            return None
        told = {
            one.alias_or_name.lower(): below.columns[column.name.lower()]
            for one in select.expressions
            if isinstance(column := one.unalias(), exp.Column) and column.name.lower() in below.columns
        }
        return _Source(below.table, below.node, told)

    def _users(self, wanted: exp.Table | Scope) -> list[tuple[Scope, str]]:
        """The SELECTs that have it in their FROM, and under which alias."""
        return [
            (scope, alias)
            for scope in self.scopes
            for alias, (node, source) in _sources(scope).items()
            if node is wanted or source is wanted
        ]

    # -- the columns ------------------------------------------------------------------------------------------------

    def _driving_column(self, scope: Scope, column: exp.Column) -> str | None:
        """The driving table's column whose value a column of a SELECT on the way is."""
        from sqlglot import exp

        alias = self.carriers[id(scope)][1]
        if column.table != alias:
            return None
        source = _sources(scope)[alias][1]
        return column.name if isinstance(source, exp.Table) else self._returned(source, column.name)

    def _returned(self, scope: Scope, name: str) -> str | None:
        """The driving table's column whose value a SELECT on the way returns under a name."""
        if not hasattr(scope.expression, "expressions"):
            return None
        found = [one for one in scope.expression.expressions if one.alias_or_name.lower() == name.lower()]
        if len(found) != 1:
            return None
        column = _plain(found[0].unalias())
        return None if column is None else self._driving_column(scope, column)


def _sources(scope: Scope) -> dict[str, tuple[exp.Selectable, exp.Table | Scope]]:
    """What a SELECT has in its FROM, by alias; sqlglot's own list leaves out what stands behind SEMI and ANTI JOIN."""
    found = [(alias, node) for alias, node in scope.references if alias in scope.sources]
    if len(dict(found)) < len(found):
        raise _NotFollowedError
    return {alias: (node, scope.sources[alias]) for alias, node in found}


def _plain(expression: exp.Expr) -> exp.Column | None:
    """A column; that on the left where USING merged two, which has its value in an inner or left join."""
    from sqlglot import exp

    if isinstance(expression, exp.Coalesce) and not expression.meta.get("written"):
        return _plain(expression.this)
    return expression if isinstance(expression, exp.Column) and not expression.is_star else None


def _equal(scope: Scope, alias: str) -> list[tuple[str, exp.Column]]:
    """What every row must fulfil for which a source's row counts: its column, in small letters, equals another's."""
    from sqlglot import exp

    select = scope.expression
    joins = select.args.get("joins") or []
    own = [join for join in joins if join.this.alias_or_name == alias]
    outer = [join for join in own if join.side or join.kind in {"SEMI", "ANTI"} or join.method]
    inner = [join for join in joins if not join.side and not join.method and join.kind in {"", "INNER", "CROSS"}]
    conditions = [join.args.get("on") for join in (outer or inner)]
    conditions += [] if outer or not select.args.get("where") else [select.args["where"].this]
    found: list[tuple[str, exp.Column]] = []
    for one in (part for condition in conditions if condition is not None for part in _parts(condition)):
        if isinstance(one, exp.EQ):
            sides = [_plain(one.this), _plain(one.expression)]
            for mine, other in (sides, sides[::-1]):
                if mine is not None and other is not None and mine.table == alias != other.table:
                    found.append((mine.name.lower(), other))
    return found


def _parts(condition: exp.Expr) -> list[exp.Expr]:
    from sqlglot import exp

    condition = condition.unnest()
    if isinstance(condition, exp.And):
        return [*_parts(condition.this), *_parts(condition.expression)]
    return [condition]


def _looks_around(scope: Scope) -> bool:
    """Whether a SELECT looks at more than one row of its table."""
    from sqlglot import exp

    from flowforge_assets.model_sql.partitionwise import aggregates_of

    select = scope.expression
    nested = any(one is not select for one in select.find_all(exp.Query) if not isinstance(one, exp.Table))
    return nested or select.find(exp.Window) is not None or any(True for _ in aggregates_of(scope))
