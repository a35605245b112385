"""The lineage of every column there is, as one graph, and ways through it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from flowforge_assets.lineage.edges import ColumnRef, Edge
from flowforge_assets.lineage.layers import model_edges, model_node, table_edges, table_nodes
from flowforge_resources.errors import FlowForgeError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from flowforge_assets.gold.model_spec import ModelSpec
    from flowforge_assets.lineage.edges import TableNode
    from flowforge_assets.model_sql.analysis import SqlAnalysis
    from flowforge_assets.table_spec import TableSpec
    from flowforge_resources.layout import ModelId, TableId


class UnknownColumnError(FlowForgeError):
    """A table or column is asked for that no workflow has."""


@dataclass(frozen=True)
class Lineage:
    """Tables by name, and the edges between their columns."""

    tables: Mapping[str, TableNode]
    edges: tuple[Edge, ...]

    @cached_property
    def into(self) -> Mapping[ColumnRef, tuple[Edge, ...]]:
        """Edges by what they lead to."""
        return _grouped((edge.target, edge) for edge in self.edges)

    @cached_property
    def out_of(self) -> Mapping[ColumnRef, tuple[Edge, ...]]:
        """Edges by where they come from."""
        return _grouped((edge.source, edge) for edge in self.edges)

    def into_table(self, table: str) -> list[Edge]:
        """Edges to any column of a table, in the order of its columns, its rows last."""
        columns = [*(self.tables[table].columns or {}), ""]
        return [edge for column in columns for edge in self.into.get(ColumnRef(table, column), ())]

    def find(self, written: str) -> ColumnRef:
        """What a person means by `[workflow.]table[.column]`; a table may be named as its asset or as in SQL.

        The column is empty where only a table is named.

        Raises:
            UnknownColumnError: there is none, or there are several.
        """
        parts = written.split(".")
        lacking: tuple[str, str] | None = None
        for length in range(1, min(len(parts), 2) + 1):
            name, column = ".".join(parts[:length]), ".".join(parts[length:])
            found = self._tables_named(name)
            if len(found) > 1:
                raise UnknownColumnError(f"'{name}' is in several workflows: {', '.join(found)}. Write one of these.")
            if found and (not column or column in (self.tables[found[0]].columns or {})):
                return ColumnRef(found[0], column)
            lacking = (found[0], column) if found else lacking
        if lacking:
            table, column = lacking
            known = self.tables[table].columns or {}
            raise UnknownColumnError(f"{table} has no column '{column}'.{did_you_mean(column, known)}")
        known_tables = {node.asset for node in self.tables.values()}
        raise UnknownColumnError(f"There is no table '{written}'.{did_you_mean(parts[-1], known_tables)}")

    def _tables_named(self, name: str) -> list[str]:
        """Nodes called `name`: `retail.dim_x`, `dim_x`, `retail.orders` (its silver), `orders`."""
        for wanted in (name, f"silver_{name}"):
            exact = [one for one in self.tables if one == wanted or one.partition(".")[2] == wanted]
            if exact:
                return exact
        workflow, _, table = name.partition(".")
        silver = f"{workflow}.silver_{table}"
        return [silver] if silver in self.tables else []

    def upstream(self, of: Iterable[ColumnRef]) -> list[Edge]:
        """Every edge that leads to a column, also through others.

        What decides on the rows of its own table is included, what decides on the rows further up is not: nearly every
        column of a warehouse depends on nearly every other in that way.
        """
        start = list(of)
        rows = [edge for table in dict.fromkeys(ref.table for ref in start) for edge in self._rows_of(table)]
        return [*self._closure(start, self.into, lambda edge: edge.source), *rows]

    def downstream(self, of: Iterable[ColumnRef]) -> list[Edge]:
        """Every edge that leads from a column, also through others; deciding on rows ends a way."""
        return self._closure(list(of), self.out_of, lambda edge: edge.target)

    def _rows_of(self, table: str) -> tuple[Edge, ...]:
        return self.into.get(ColumnRef(table, ""), ())

    def _closure(
        self, start: list[ColumnRef], edges: Mapping[ColumnRef, tuple[Edge, ...]], end: Callable[[Edge], ColumnRef]
    ) -> list[Edge]:
        found: dict[Edge, None] = {}
        waiting = [ref for ref in start if ref.column]
        while waiting:
            for edge in edges.get(waiting.pop(), ()):
                if edge not in found:
                    found[edge] = None
                    following = end(edge)
                    waiting += [following] if following.column else []
        return list(found)

    def around(self, workflow: str) -> Lineage:
        """The part that a workflow's tables come from and lead to."""
        own = {name for name, node in self.tables.items() if node.workflow == workflow}
        wanted = own | self._reached(own, up=True) | self._reached(own, up=False)
        return Lineage(
            {name: node for name, node in self.tables.items() if name in wanted},
            tuple(edge for edge in self.edges if {edge.source.table, edge.target.table} <= wanted),
        )

    def _reached(self, start: set[str], *, up: bool) -> set[str]:
        links: dict[str, set[str]] = defaultdict(set)
        for edge in self.edges:
            source, target = edge.source.table, edge.target.table
            links[target if up else source].add(source if up else target)
        found, waiting = set(start), list(start)
        while waiting:
            new = links[waiting.pop()] - found
            found |= new
            waiting += new
        return found


def _grouped(pairs: Iterable[tuple[ColumnRef, Edge]]) -> dict[ColumnRef, tuple[Edge, ...]]:
    found: dict[ColumnRef, list[Edge]] = defaultdict(list)
    for key, edge in pairs:
        found[key].append(edge)
    return {key: tuple(edges) for key, edges in found.items()}


def lineage_of(
    tables: Sequence[TableSpec],
    models: Sequence[tuple[ModelSpec, SqlAnalysis]],
    about: Mapping[TableId | ModelId, str],
) -> Lineage:
    """The graph of all tables and models; `about` describes them."""
    nodes = [node for spec in tables for node in table_nodes(spec, about.get(spec.id, ""))]
    nodes += [model_node(spec, analysis, about.get(spec.id, "")) for spec, analysis in models]
    edges = [edge for spec in tables for edge in table_edges(spec)]
    edges += [edge for spec, analysis in models for edge in model_edges(spec, analysis)]
    return Lineage({node.name: node for node in nodes}, tuple(dict.fromkeys(edges)))
