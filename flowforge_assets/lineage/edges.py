"""The words of column lineage: tables, columns, and edges of six kinds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["identity", "transformation", "aggregation", "masked", "join", "filter"]

# What happens to a value, the weakest first: along a way the strongest counts.
VALUE_KINDS: tuple[Kind, ...] = ("identity", "transformation", "aggregation", "masked")
KINDS: dict[Kind, str] = {
    "identity": "the value as it is, under this name or another",
    "transformation": "computed from the value: a cast, an expression",
    "aggregation": "the values of many rows become one",
    "join": "decides which rows of two tables belong together",
    "filter": "decides which rows there are",
    "masked": "the value cannot be read any more: hashed or masked",
}


def stronger(one: Kind, other: Kind) -> Kind:
    """The kind of a value that went through both."""
    return max(one, other, key=VALUE_KINDS.index)


@dataclass(frozen=True, order=True)
class ColumnRef:
    """A column of a table; an empty column stands for the table's rows: which ones there are."""

    table: str
    column: str

    def __str__(self) -> str:
        return f"{self.table}.{self.column}" if self.column else f"{self.table} (rows)"


@dataclass(frozen=True)
class Edge:
    """`target` depends on `source`."""

    source: ColumnRef
    target: ColumnRef
    kind: Kind


@dataclass(frozen=True)
class TableNode:
    """A table of a layer. `name` is `workflow.asset`, e.g. `retail.silver_customers`.

    `columns`: name and type; None where they are known only when it runs. `unknown`: columns whose origin is not known.
    """

    name: str
    layer: Literal["landing", "bronze", "silver", "gold", "sink"]
    columns: dict[str, str] | None
    keys: frozenset[str] = frozenset()
    pii: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()
    description: str = ""
    notes: tuple[tuple[str, str], ...] = ()

    @property
    def workflow(self) -> str:
        """The workflow it belongs to."""
        return self.name.partition(".")[0]

    @property
    def asset(self) -> str:
        """Last part of the asset's key."""
        return self.name.partition(".")[2]
