"""Which tables a failed check holds: everything made from its table, by the edges that lead there.

An edge goes from a table to one that is made from it. By default it holds for every blocking check of the upper table,
and for whatever holds the upper table itself; a document can name the checks that count, or none.

Belongs here: the edges, and the question what holds a table now. Does not: what lies on the lake (`flowforge_resources.gates`),
or what a step does about it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from flowforge_resources.gates import read_gates

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from flowforge_resources.gates import FailedCheck, Gates, Waiver
    from flowforge_resources.lake import Lake

# Words of an edge: every blocking check; what holds the upper table itself. The second is also a check of its own.
BLOCKING, UPSTREAM_GATE = "blocking", "upstream_gate"
# Checks of FlowForge's own work: where one fails rows are missing or doubled, and nobody can know that to be harmless.
NEVER_WAIVED = frozenset({"books", "lossless"})


@dataclass(frozen=True)
class Edge:
    """From an upper table to one made from it; `checks` are names of its checks or the words above."""

    upstream: str
    checks: frozenset[str] = frozenset({BLOCKING, UPSTREAM_GATE})

    def holds_for(self, failed: FailedCheck) -> bool:
        """Whether a failed check of the upper table counts."""
        return failed.check in self.checks or (failed.blocking and BLOCKING in self.checks)

    @property
    def passes_on(self) -> bool:
        """Whether what holds the upper table holds the lower one."""
        return UPSTREAM_GATE in self.checks


@dataclass(frozen=True)
class Hold:
    """A failed check that holds a table; `way`: the tables in between, the nearest to the failed one first."""

    asset: str
    failed: FailedCheck
    way: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """`workflow/asset:check`."""
        return f"{self.asset}:{self.failed.check}"

    def __str__(self) -> str:
        rows = f" ({self.failed.rows_broken:,} rows)" if self.failed.rows_broken else ""
        way = f", by way of {', '.join(self.way)}" if self.way else ""
        return f"the check `{self.failed.check}` of {self.asset} fails since {_minute(self.failed.since)}{rows}{way}"


class GateReader:
    """The gates of workflows as one step or tick sees them: each is read once, when it is wanted."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._read: dict[str, Gates] = {}

    def __call__(self, workflow: str) -> Gates:
        if workflow not in self._read:
            self._read[workflow] = read_gates(self._lake, workflow)
        return self._read[workflow]

    def failed(self, asset: str) -> tuple[FailedCheck, ...]:
        """The failed checks of an asset."""
        return self(workflow_of(asset)).failed.get(asset, ())

    def waiver(self, asset: str, check: str, *, of: str | None, now: datetime) -> Waiver | None:
        """The waiver that counts for a check."""
        return self(workflow_of(asset)).waiver(asset, check, of=of, now=now)


class GateGraph:
    """What is made from what, with the checks that count on the way; worked out when it is first asked for.

    `apart`: the checks of tables that a step of their own asks of what is published.
    """

    def __init__(
        self,
        edges: Callable[[], Mapping[str, tuple[Edge, ...]]],
        apart: Callable[[], Mapping[str, frozenset[str]]] = dict,
    ) -> None:
        self._make, self._make_apart = edges, apart
        self._above: dict[str, frozenset[str]] = {}

    @cached_property
    def edges(self) -> Mapping[str, tuple[Edge, ...]]:
        """The edges that lead to each table."""
        return self._make()

    @cached_property
    def _apart(self) -> Mapping[str, frozenset[str]]:
        return self._make_apart()

    def asked_apart(self, asset: str) -> frozenset[str]:
        """The checks of an asset that its own step does not ask."""
        return self._apart.get(asset, frozenset())

    def held_by(self, asset: str, failed: FailedCheck) -> list[str]:
        """The tables that a failed check of an asset holds directly."""
        return [
            below
            for below, edges in self.edges.items()
            if any(edge.upstream == asset and edge.holds_for(failed) for edge in edges)
        ]

    @cached_property
    def _named(self) -> Mapping[str, frozenset[str]]:
        found: dict[str, frozenset[str]] = {}
        for edge in (edge for edges in self.edges.values() for edge in edges):
            found[edge.upstream] = found.get(edge.upstream, frozenset()) | (edge.checks - {BLOCKING, UPSTREAM_GATE})
        return found

    def named(self, asset: str) -> frozenset[str]:
        """The checks of an asset that some edge names: they count though they may not block."""
        return self._named.get(asset, frozenset())

    def workflows(self, asset: str) -> frozenset[str]:
        """The workflows of all tables an asset is made from, however far up."""
        if asset not in self._above:
            above = [
                {workflow_of(edge.upstream)} | (self.workflows(edge.upstream) if edge.passes_on else set())
                for edge in self.edges.get(asset, ())
                if edge.checks
            ]
            self._above[asset] = frozenset().union(*above)
        return self._above[asset]

    def is_above(self, asset: str, other: str) -> bool:
        """Whether `other` is made from an asset, directly or by way of others."""
        seen: set[str] = set()
        left = [other]
        while left:
            above = {edge.upstream for edge in self.edges.get(left.pop(), ())} - seen
            seen |= above
            left += above
        return asset in seen

    def holds(self, asset: str, gates: GateReader, now: datetime) -> tuple[Hold, ...]:
        """What holds a table at a moment; nothing for nearly every table at nearly every moment."""
        if not any(gates(workflow).failed for workflow in sorted(self.workflows(asset))):
            return ()
        found = self._holds(asset, gates, now, {})
        return tuple({one.name: one for one in reversed(found)}.values())[::-1]

    def _holds(self, asset: str, gates: GateReader, now: datetime, known: dict[str, list[Hold]]) -> list[Hold]:
        if asset in known:
            return known[asset]
        found = []
        for edge in self.edges.get(asset, ()):
            found += [Hold(edge.upstream, one) for one in gates.failed(edge.upstream) if edge.holds_for(one)]
            if edge.passes_on:
                above = self._holds(edge.upstream, gates, now, known)
                found += [replace(one, way=(*one.way, edge.upstream)) for one in above]
        known[asset] = [one for one in found if not gates.waiver(one.asset, one.failed.check, of=asset, now=now)]
        return known[asset]


NO_EDGES = GateGraph(dict)


def workflow_of(asset: str) -> str:
    """The workflow of `workflow/asset`."""
    return asset.split("/", 1)[0]


def _minute(moment: str) -> str:
    return f"{moment[:16].replace('T', ' ')} UTC"
