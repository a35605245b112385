"""Where each column of a query comes from, by following it through sqlglot's scopes down to the tables it reads.

Two kinds of answer: the columns a value is made of, and the columns that decide which rows there are (joins, filters,
groups). What sqlglot cannot resolve has an unknown origin; nothing is guessed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flowforge_assets.lineage.edges import Kind, stronger
from flowforge_assets.model_sql.clauses import compared, deciding, is_opaque, is_parameter, kind_of
from flowforge_resources.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlglot import exp
    from sqlglot.optimizer.scope import Scope

    from flowforge_assets.model_sql.query import Query

# (table as the query names it, column in lower case) and how it gets there.
Sources = dict[tuple[str, str], Kind]


class _UnknownError(Exception):
    """sqlglot cannot say what a column is."""


@dataclass(frozen=True)
class Origins:
    """By position the sources of each returned column (None: unknown), and what decides which rows there are."""

    columns: list[Sources | None] = field(default_factory=list)
    rows: Sources = field(default_factory=dict)


def origins_of(query: Query) -> Origins | None:
    """The origins of a query's columns; None where sqlglot cannot follow it."""
    from sqlglot.errors import SqlglotError
    from sqlglot.optimizer.scope import build_scope

    try:
        root = build_scope(qualified(query, for_origins=True))
        if root is None:
            return None
        walker = _Walker(query, root)
        return Origins([sources for _, sources in walker.outputs(root)], walker.rows())
    except (SqlglotError, DefinitionError, _UnknownError, RecursionError):
        return None


def qualified(query: Query, *, for_origins: bool = False) -> exp.Expr:
    """The tree with stars expanded and every column under the name of its source.

    `for_origins`: with what has the same columns and origins in place of a PIVOT and the like; not for running.
    """
    from sqlglot import exp
    from sqlglot.optimizer.qualify import qualify

    from flowforge_assets.model_sql.named_columns import name_columns
    from flowforge_assets.model_sql.reads import parse
    from flowforge_assets.model_sql.stand_ins import stand_in

    tree = parse(query.sql, query.where)
    if for_origins:
        stand_in(tree, query)
    name_columns(tree, query)
    for written in tree.find_all(exp.Coalesce):
        written.meta["written"] = True  # the others stand for a column that USING merged
    schema: dict[str, dict[str, object]] = {}
    for name, columns in query.tables.items():
        workflow, _, table = name.rpartition(".")
        schema.setdefault(workflow or query.workflow, {})[table] = dict(columns)
    return qualify(
        tree,
        dialect="duckdb",
        db=query.workflow,
        schema=dict(schema),
        allow_partial_qualification=True,
        validate_qualify_columns=False,
        identify=False,
    )


class _Walker:
    """Follows columns through the scopes of one query."""

    def __init__(self, query: Query, root: Scope) -> None:
        self.query = query
        self.scopes = {id(scope.expression): scope for scope in root.traverse()}
        self._known: dict[int, list[tuple[str, Sources | None]]] = {}

    def outputs(self, scope: Scope) -> list[tuple[str, Sources | None]]:
        """What a scope returns: name and sources by position. A recursive CTE adds nothing to itself."""
        key = id(scope.expression)
        if key not in self._known:
            self._known[key] = []
            self._known[key] = self._outputs(self.scopes.get(key, scope))
        return self._known[key]

    def _outputs(self, scope: Scope) -> list[tuple[str, Sources | None]]:
        from sqlglot import exp

        tree = scope.expression
        if isinstance(tree, exp.Select):
            return [(one.alias_or_name.lower(), self._value(scope, one)) for one in tree.selects]
        if isinstance(tree, exp.SetOperation):
            left, right = (self.outputs(one) for one in scope.set_operation_scopes)
            if not isinstance(tree, exp.Union):
                return left
            return _united(left, right, by_name=bool(tree.args.get("by_name")))
        if isinstance(tree, exp.Subquery):
            inner = self.scopes.get(id(tree.unnest()))
            return self.outputs(inner) if inner else []
        if isinstance(tree, exp.Lateral) and id(inner := tree.this.unnest()) in self.scopes:
            return self.outputs(self.scopes[id(inner)])
        names = [*scope.outer_columns, *tree.alias_column_names]
        made = self._value(scope, tree, least="transformation")
        return [(name.lower(), made) for name in dict.fromkeys(names or [tree.alias_or_name])]

    def rows(self) -> Sources:
        """What decides which rows there are, anywhere in the query."""
        found: Sources = {}
        for scope in self.scopes.values():
            for kind, part in deciding(scope):
                self._decide(found, kind, self._value(scope, part))
            for kind, branch in compared(scope):
                for _, sources in self.outputs(branch):
                    self._decide(found, kind, sources)
        return found

    def _decide(self, found: Sources, kind: Kind, sources: Sources | None) -> None:
        _add(found, ((source, kind) for source in sources or {}), _STRONGER_FOR_ROWS)

    def _value(self, scope: Scope, part: exp.Expr, least: Kind = "identity") -> Sources | None:
        """The sources of an expression; None where one of its columns is unknown."""
        found: Sources = {}
        try:
            for leaf, sources in self._leaves(scope, part):
                kind = stronger(least, kind_of(leaf, part))
                _add(found, ((source, stronger(kind, how)) for source, how in sources.items()))
        except _UnknownError:
            return None
        return found

    def _leaves(self, scope: Scope, part: exp.Expr) -> Iterator[tuple[exp.Expr, Sources]]:
        """Every column of an expression, and every query within it, with their sources."""
        from sqlglot import exp

        windows = {one.name: one for one in scope.expression.args.get("windows") or []}
        inner = {id(node) for node in part.find_all(exp.Query) if node is not part and id(node) in self.scopes}
        for node in part.walk(prune=lambda node: id(node) in inner):
            if id(node) in inner:
                if isinstance(node.parent, exp.Exists):
                    continue  # its filters decide, no value of it counts
                for _, sources in self.outputs(self.scopes[id(node)]):
                    yield node, _require(sources)
            elif is_opaque(node):
                raise _UnknownError
            elif isinstance(node, exp.Column) and not is_parameter(node):
                yield node, self._resolve(scope, node)
            elif isinstance(node, exp.Window) and node.alias in windows and windows[node.alias] is not node:
                named = self._value(scope, windows[node.alias], least="transformation")
                yield node.args["alias"], _require(named)

    def _resolve(self, scope: Scope, column: exp.Column) -> Sources:
        """A column in its scope, or in one around it where the query is correlated."""
        if not column.table:  # ORDER BY may name what the query returns
            return _require(dict(self.outputs(scope)).get(column.name.lower()))
        around: Scope | None = scope
        while around is not None:
            if column.table in around.sources:
                return self._of_source(around.sources[column.table], column.name.lower())
            around = around.parent
        raise _UnknownError

    def _of_source(self, source: exp.Expr | Scope, column: str) -> Sources:
        from sqlglot import exp
        from sqlglot.optimizer.scope import Scope

        if isinstance(source, exp.Table):
            return self._of_table(source, column)
        if not isinstance(source, Scope):
            raise _UnknownError
        outputs = self.outputs(source)
        names = [name for name, _ in outputs]
        outer = [name.lower() for name in source.outer_columns]
        place = outer.index(column) if column in outer else names.index(column) if column in names else None
        if place is None or place >= len(outputs):
            if self._is_recursive(source):
                return {}
            raise _UnknownError
        return _require(outputs[place][1])

    def _is_recursive(self, source: Scope) -> bool:
        """Whether the scope is being looked at already: a recursive CTE that reads itself."""
        return not self._known.get(id(source.expression), [None])

    def _of_table(self, table: exp.Table, column: str) -> Sources:
        workflow = table.db.lower()
        name = table.name.lower() if workflow == self.query.workflow.lower() else f"{workflow}.{table.name.lower()}"
        columns = self.query.tables.get(name)
        if columns is None:
            return {}  # a table function such as range()
        renamed = [one.lower() for one in table.alias_column_names]
        real = {one.lower(): one for one in columns}
        if column in renamed:
            return {(name, list(real.values())[renamed.index(column)]): "identity"}
        if column == "rowid" and column not in real:
            return {}
        if column not in real:
            raise _UnknownError
        return {(name, real[column]): "identity"}


# A column that joins two tables is a join first, whatever else it does.
_STRONGER_FOR_ROWS = ("aggregation", "filter", "join")


def _add(found: Sources, new: Iterable[tuple[tuple[str, str], Kind]], order: tuple[str, ...] = ()) -> None:
    for source, kind in new:
        old = found.get(source, kind)
        found[source] = max(old, kind, key=order.index) if order else stronger(old, kind)


def _united(
    left: list[tuple[str, Sources | None]], right: list[tuple[str, Sources | None]], *, by_name: bool
) -> list[tuple[str, Sources | None]]:
    """Columns of a UNION: matched by position, or by name where it says so."""
    if not by_name:
        return [(name, _both(sources, other)) for (name, sources), (_, other) in zip(left, right, strict=False)]
    others = dict(right)
    return [
        *((name, _both(sources, others[name]) if name in others else sources) for name, sources in left),
        *((name, sources) for name, sources in right if name not in dict(left)),
    ]


def _both(one: Sources | None, other: Sources | None) -> Sources | None:
    if one is None or other is None:
        return None
    found = dict(one)
    _add(found, other.items())
    return found


def _require(sources: Sources | None) -> Sources:
    if sources is None:
        raise _UnknownError
    return sources
