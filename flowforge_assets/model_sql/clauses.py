"""What the nodes of a query do to columns: which clauses decide on rows, what an expression makes of a value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowforge_assets.model_sql.engine import aggregate_functions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlglot import exp
    from sqlglot.optimizer.scope import Scope

    from flowforge_assets.lineage.edges import Kind


def deciding(scope: Scope) -> Iterator[tuple[Kind, exp.Expr]]:
    """The parts of a query's own clauses that decide which rows there are."""
    from sqlglot import exp

    tree = scope.expression
    # Of `FROM a JOIN b SELECT …` and `FROM (a JOIN b)` the joins stand within the table.
    yield from (("join", join.args["on"]) for join in scope.find_all(exp.Join) if join.args.get("on") is not None)
    distinct = tree.args.get("distinct")
    picks = distinct.args.get("on") if isinstance(distinct, exp.Distinct) else None
    filters = [tree.args.get(name) for name in ("where", "having", "qualify")]
    # Which rows come first matters where only some are taken.
    some = picks or tree.args.get("limit") or tree.args.get("offset")
    filters += [picks, tree.args.get("order") if some else None]
    yield from (("filter", part) for part in filters if part is not None)
    if isinstance(tree, exp.Select):
        yield from _deciding_values(tree, all_of_them=distinct is not None and picks is None)


def _deciding_values(tree: exp.Select, *, all_of_them: bool) -> Iterator[tuple[Kind, exp.Expr]]:
    """Groups, DISTINCT, and lists that become rows."""
    from sqlglot import exp

    group = tree.args.get("group")
    if group is not None and not group.args.get("all"):
        yield "aggregation", group
    for one in tree.selects:
        if all_of_them or (group is not None and group.args.get("all") and not one.find(exp.AggFunc)):
            yield "aggregation", one
        yield from (("filter", lists) for lists in one.find_all(exp.Unnest, exp.Explode))


def compared(scope: Scope) -> Iterator[tuple[Kind, Scope]]:
    """Queries whose rows are compared as wholes: all but UNION ALL; and lists that become rows."""
    from sqlglot import exp

    tree = scope.expression
    if isinstance(tree, exp.SetOperation) and not (isinstance(tree, exp.Union) and not tree.args.get("distinct")):
        kind: Kind = "aggregation" if isinstance(tree, exp.Union) else "filter"
        yield from ((kind, branch) for branch in scope.set_operation_scopes)
    if isinstance(tree, exp.Unnest):
        yield "filter", scope


def is_opaque(node: exp.Expr) -> bool:
    """Whether a node stands for columns that sqlglot did not name: `COLUMNS('…')`, `#1`, a row, `name.function()`."""
    from sqlglot import exp

    if isinstance(node, exp.Star):
        return not isinstance(node.parent, exp.Count)
    if isinstance(node, exp.Dot):
        return isinstance(node.this, exp.Identifier)
    return isinstance(node, exp.Columns | exp.PositionalColumn | exp.TableColumn)


def is_parameter(column: exp.Column) -> bool:
    """Whether the name is a lambda's or a comprehension's own."""
    from sqlglot import exp

    node: exp.Expr | None = column
    while node is not None:
        if isinstance(node, exp.Lambda) and column.name in {one.name for one in node.expressions}:
            return True
        if isinstance(node, exp.Comprehension) and column.name == node.expression.name:
            return True
        node = node.parent
    return False


def kind_of(leaf: exp.Expr, root: exp.Expr) -> Kind:
    """What an expression does to one of its columns."""
    from sqlglot import exp

    kind: Kind = "identity"
    node = leaf
    while node is not root and node.parent is not None:
        node = node.parent
        if _hashes(node):
            return "masked"
        if _aggregates(node):
            kind = "aggregation"
        elif (
            kind != "aggregation"
            and not isinstance(node, exp.Alias | exp.Paren | exp.Subquery)
            and not _merged_by_using(node)
        ):
            kind = "transformation"
    return kind


def _hashes(node: exp.Expr) -> bool:
    from sqlglot import exp

    if isinstance(node, exp.Anonymous):
        return node.name.lower() in _HASHES
    return isinstance(node, exp.Func) and node.sql_name().lower() in _HASHES


_HASHES = {"hash", "md5", "md5_number", "md5_number_lower", "md5_number_upper", "sha", "sha1", "sha2", "sha256"}


def _aggregates(node: exp.Expr) -> bool:
    from sqlglot import exp

    if isinstance(node, exp.Filter):
        return True
    if isinstance(node, exp.Anonymous):
        return node.name.lower() in aggregate_functions()
    # One row's value as another row sees it is no aggregate.
    picks = exp.Lag | exp.Lead | exp.FirstValue | exp.LastValue | exp.NthValue
    return isinstance(node, exp.AggFunc) and not (isinstance(node, picks) and node.find_ancestor(exp.Window))


def _merged_by_using(node: exp.Expr) -> bool:
    from sqlglot import exp

    return isinstance(node, exp.Coalesce) and "written" not in node.meta
