"""Lineage goes on into sinks: each column that is delivered, and what decides which rows are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flowforge_assets.lineage.edges import ColumnRef, Edge, TableNode
from flowforge_assets.lineage.layers import table_name
from flowforge_resources.published import word_for

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowforge_assets.lineage.graph import Lineage
    from flowforge_assets.model_sql.analysis import SqlAnalysis
    from flowforge_resources.layout import ModelId, TableId

Delivery = tuple[TableNode, list[Edge]]


def sink_lineage(
    workflow: str, name: str, read: TableId | ModelId, analysis: SqlAnalysis, about: str | None
) -> Delivery:
    """A sink as a node, and the edges that lead to it."""
    columns = None if analysis.columns is None else {one: word_for(kind) for one, kind in analysis.columns.items()}
    node = TableNode(f"{workflow}.{name}", "sink", columns, description=about or "")
    source = table_name(read)
    edges = [
        Edge(ColumnRef(source, one.column), ColumnRef(node.name, column), one.kind)
        for column, origins in analysis.origins.items()
        for one in origins
    ]
    return node, [
        *edges,
        *(Edge(ColumnRef(source, one.column), ColumnRef(node.name, ""), one.kind) for one in analysis.rows),
    ]


def with_sinks(lineage: Lineage, sinks: Iterable[Delivery]) -> Lineage:
    """The graph with sinks at its ends; personal columns stay personal there."""
    tables, edges = dict(lineage.tables), list(lineage.edges)
    for node, leading in sinks:
        hidden = {one.target.column for one in leading if one.source.column in tables[one.source.table].pii}
        tables[node.name] = replace(node, pii=frozenset(hidden - {""}))
        edges += leading
    return replace(lineage, tables=tables, edges=tuple(dict.fromkeys(edges)))
