"""A workflow's lineage as one HTML file without anything beside it: a graph to click through."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowforge_assets.lineage.edges import KINDS, TableNode
from flowforge_assets.transforms.cast import AUDIT_COLUMNS

if TYPE_CHECKING:
    from flowforge_assets.lineage.graph import Lineage

_TEMPLATE = Path(__file__).parent / "page.html"
_LINE_BYTES = 128


def render(lineage: Lineage, workflow: str) -> str:
    """The page. Its first line is a fingerprint of everything it shows."""
    data = json.dumps(_data(lineage, workflow), separators=(",", ":")).replace("</", "<\\/")
    body = _TEMPLATE.read_text(encoding="utf-8").replace("__TITLE__", workflow).replace("__DATA__", data)
    return f"<!-- {sha256(body.encode()).hexdigest()} -->\n{body}"


def fingerprint_line(page: str) -> bytes:
    """The first line of a page."""
    return page[:_LINE_BYTES].split("\n", 1)[0].encode()


def _data(lineage: Lineage, workflow: str) -> dict[str, Any]:
    """Tables by number, edges as [table, column, table, column, kind]; column -1 stands for the rows."""
    tables = list(lineage.tables.values())
    places = {node.name: number for number, node in enumerate(tables)}
    columns = {node.name: {name: place for place, name in enumerate(node.columns or {})} for node in tables}
    kinds = list(KINDS)
    return {
        "workflow": workflow,
        "kinds": [[kind, meaning] for kind, meaning in KINDS.items()],
        "tables": [_table(node) for node in tables],
        "edges": [
            [
                places[edge.source.table],
                columns[edge.source.table].get(edge.source.column, -1),
                places[edge.target.table],
                columns[edge.target.table].get(edge.target.column, -1),
                kinds.index(edge.kind),
            ]
            for edge in lineage.edges
        ],
    }


def _table(node: TableNode) -> dict[str, Any]:
    notes = dict(node.notes)
    return {
        "name": node.name,
        "layer": node.layer,
        "about": node.description,
        "open": node.columns is None,
        "columns": [
            {
                "name": name,
                "type": kind,
                **({"key": 1} if name in node.keys else {}),
                **({"pii": 1} if name in node.pii else {}),
                **({"unknown": 1} if name in node.unknown else {}),
                **({"audit": 1} if name in AUDIT_COLUMNS else {}),
                **({"note": notes[name]} if notes.get(name) else {}),
            }
            for name, kind in (node.columns or {}).items()
        ],
    }
