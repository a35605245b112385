"""What a sink is, as declared: which rows of which table go where. Holds no data logic."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

from flowforge_assets.model_sql.analysis import NOTHING_KNOWN, SqlAnalysis
from flowforge_resources.duck import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowforge_resources.lake import Lake
    from flowforge_resources.layout import ModelId, TableId
    from flowforge_resources.sinks.delivered import Delivered
    from flowforge_resources.sinks.outgoing import Outgoing


class Destination(Protocol):
    """Where rows go.

    `kind`: the word that the UI shows; `described`: where that is, in words without a secret; `shape`: changes when the same
    rows must be delivered again.
    """

    @property
    def kind(self) -> str: ...

    @property
    def described(self) -> str: ...

    @property
    def shape(self) -> object: ...

    def deliver(self, sink: str, fingerprint: str, outgoing: Outgoing, lake: Lake) -> Delivered:
        """Bring the rows there, all of them or none."""
        ...


@dataclass(frozen=True)
class SinkSpec:
    """One sink. `columns`: names in the table by the names they are delivered under; none: all there are."""

    id: ModelId
    table: str
    read: TableId | ModelId
    columns: Mapping[str, str]
    where: str | None
    destination: Destination
    analysis: SqlAnalysis = field(default=NOTHING_KNOWN, compare=False)

    @property
    def name(self) -> str:
        """`workflow/sink`."""
        return "/".join(self.id.key)

    def select(self, source: str) -> str:
        """The query for its rows, from what stands for the table in SQL."""
        return select(self.columns, self.where, source)

    @cached_property
    def fingerprint(self) -> str:
        """Changes when a version that is delivered must be delivered again."""
        shape = [sorted(self.columns.items()), self.where, self.destination.shape]
        return sha256(repr(shape).encode()).hexdigest()[:16]


def select(columns: Mapping[str, str], where: str | None, source: str) -> str:
    """The query for the rows of a sink."""
    shown = ", ".join(f"{quote(theirs)} AS {quote(ours)}" for ours, theirs in columns.items()) or "*"
    return f"SELECT {shown} FROM {source}" + (f" WHERE ({where}\n)" if where else "")
