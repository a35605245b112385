"""Lineage for a terminal: a column's way up and down as a tree, a table's columns with what each is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text
from rich.tree import Tree

from flowforge_assets.lineage.edges import ColumnRef

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import RenderableType

    from flowforge_assets.lineage.edges import Edge, Kind
    from flowforge_assets.lineage.graph import Lineage

STYLES: dict[Kind, str] = {
    "identity": "blue",
    "transformation": "magenta",
    "aggregation": "yellow",
    "masked": "bright_black",
    "join": "cyan",
    "filter": "red",
}


def render_column(lineage: Lineage, ref: ColumnRef, *, up: bool, down: bool) -> RenderableType:
    """A column, what it is made of and what is made from it."""
    node = lineage.tables[ref.table]
    head = Text.assemble((str(ref), "bold"), f"  {(node.columns or {}).get(ref.column, '')}")
    parts: list[RenderableType] = [head]
    if up:
        tree = Tree(Text("comes from", style="dim"))
        if ref.column in node.unknown:
            tree.add(Text("unknown: the SQL cannot be followed there", style="yellow"))
        _grow(tree, lineage.into.get(ref, ()), lambda edge: (edge.source, lineage.into.get(edge.source, ())))
        rows = lineage.into.get(ColumnRef(ref.table, ""), ())
        if rows:
            _grow(tree.add(Text("which rows there are", style="dim")), rows, lambda edge: (edge.source, ()))
        parts.append(tree if tree.children else Text("comes from no other column", style="dim"))
    if down:
        tree = Tree(Text("goes to", style="dim"))
        _grow(tree, lineage.out_of.get(ref, ()), lambda edge: (edge.target, _onward(lineage, edge.target)))
        parts.append(tree if tree.children else Text("goes to no other column", style="dim"))
    return Group(*parts)


def _onward(lineage: Lineage, target: ColumnRef) -> Sequence[Edge]:
    """What follows a column; deciding on rows ends a way."""
    return lineage.out_of.get(target, ()) if target.column else ()


def _grow(
    tree: Tree,
    edges: Sequence[Edge],
    follow: Callable[[Edge], tuple[ColumnRef, Sequence[Edge]]],
    shown: set[ColumnRef] | None = None,
) -> None:
    """Add edges and what follows them; what follows a column is shown where it first occurs."""
    seen = set() if shown is None else shown
    for edge in edges:
        ref, further = follow(edge)
        branch = tree.add(Text.assemble(str(ref), "  ", (edge.kind, STYLES[edge.kind])))
        if further and ref in seen:
            branch.add(Text("… as above", style="dim"))
            continue
        seen.add(ref)
        _grow(branch, further, follow, seen)


def render_table(lineage: Lineage, table: str, *, up: bool, down: bool) -> RenderableType:
    """Every column of a table with its next columns up and down, and what decides on its rows."""
    node = lineage.tables[table]
    head = Text.assemble((table, "bold"), f"  {node.layer}")
    if node.columns is None:
        return Group(head, Text("Its columns are known when it runs.", style="dim"))
    tree = Tree(head)
    for column, kind in node.columns.items():
        ref = ColumnRef(table, column)
        branch = tree.add(Text.assemble(column, (f"  {kind}", "dim")))
        for edge in lineage.into.get(ref, ()) if up else ():
            branch.add(Text.assemble("← ", str(edge.source), "  ", (edge.kind, STYLES[edge.kind])))
        for edge in lineage.out_of.get(ref, ()) if down else ():
            branch.add(Text.assemble("→ ", str(edge.target), "  ", (edge.kind, STYLES[edge.kind])))
    rows = lineage.into.get(ColumnRef(table, ""), ()) if up else ()
    if rows:
        _grow(tree.add(Text("which rows there are", style="dim")), rows, lambda edge: (edge.source, ()))
    return tree


def render_tables(lineage: Lineage) -> RenderableType:
    """Every table with the tables it is made from."""
    trees = []
    for name, node in lineage.tables.items():
        if node.layer == "landing":
            continue
        sources = dict.fromkeys(edge.source.table for edge in lineage.into_table(name))
        trees.append(Text.assemble((name, "bold"), ("  ← " + ", ".join(sources) if sources else "", "dim")))
    return Group(*trees)
