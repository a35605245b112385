"""Where columns come from, for `flowforge lineage`: as text, as JSON, or as a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowforge_assets.lineage.edges import ColumnRef
from flowforge_assets.lineage.page import render
from flowforge_assets.lineage.text import render_column, render_table, render_tables

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import RenderableType

    from flowforge_assets.lineage.edges import Edge
    from flowforge_assets.lineage.graph import Lineage


@dataclass(frozen=True)
class Asked:
    """What a person asks: everything, a table (no column), or a column; up, down or both ways."""

    lineage: Lineage
    of: ColumnRef | None
    up: bool
    down: bool

    def render(self) -> RenderableType:
        """For the terminal."""
        if self.of is None:
            return render_tables(self.lineage)
        show = render_column if self.of.column else render_table
        asked: Any = self.of if self.of.column else self.of.table
        return show(self.lineage, asked, up=self.up, down=self.down)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`: the edges that lead there and from there, also through others."""
        if self.of is None:
            return {"edges": [_edge(edge) for edge in self.lineage.edges]}
        columns = [self.of.column] if self.of.column else list(self.lineage.tables[self.of.table].columns or {})
        refs = [ColumnRef(self.of.table, column) for column in columns]
        found: dict[str, Any] = {"table": self.of.table, "column": self.of.column or None}
        found |= {"upstream": [_edge(edge) for edge in self.lineage.upstream(refs)]} if self.up else {}
        return found | ({"downstream": [_edge(edge) for edge in self.lineage.downstream(refs)]} if self.down else {})

    def write_page(self, file: Path) -> None:
        """Write the page of the table's workflow; of all workflows where no table is named."""
        if self.of is None:
            names = sorted({node.workflow for node in self.lineage.tables.values()})
            page = render(self.lineage, names[0] if len(names) == 1 else "all workflows")
        else:
            workflow = self.lineage.tables[self.of.table].workflow
            page = render(self.lineage.around(workflow), workflow)
        file.write_text(page, encoding="utf-8")


def ask(table: str | None, *, upstream: bool, downstream: bool) -> Asked:
    """Look a table or column up among all workflows; neither direction named means both.

    Raises:
        UnknownColumnError: there is none of that name, or there are several.
        DefinitionError: the workflows cannot be loaded.
    """
    lineage = declared_lineage()
    of = lineage.find(table) if table else None
    both = not upstream and not downstream
    return Asked(lineage, of, up=upstream or both, down=downstream or both)


def declared_lineage() -> Lineage:
    """The lineage of everything under `defs/`."""
    from flowforge_assets.components.known import known_tables
    from flowforge_assets.definitions import defs

    if defs.component_tree is None:
        raise AssertionError("definitions are loaded from a component tree")
    return known_tables(defs.component_tree).lineage


def _edge(edge: Edge) -> dict[str, Any]:
    return {
        "source": {"table": edge.source.table, "column": edge.source.column},
        "target": {"table": edge.target.table, "column": edge.target.column or None},
        "kind": edge.kind,
    }
