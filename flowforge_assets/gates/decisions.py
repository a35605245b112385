"""Waiving a failed check and taking that back, by the names people use; the command line and the jobs do it alike.

Belongs here: finding what is meant, and refusing what is not there. Does not: what a waiver does (`flowforge_checks.holding`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowforge_checks.holding import NEVER_WAIVED, workflow_of
from flowforge_resources.decisions import decide
from flowforge_resources.errors import DecisionError, did_you_mean
from flowforge_resources.gates import Waiver, revoke, waive

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    import dagster as dg

    from flowforge_checks.holding import GateGraph
    from flowforge_resources.lake import Lake


@dataclass(frozen=True)
class Asked:
    """A check of a table, and the table made from it that a decision is limited to, as a person names them."""

    table: str
    check: str
    edge: str | None = None


class DeclaredGates:
    """The checks and edges of everything that is declared."""

    def __init__(self, graph: GateGraph, checks: Mapping[str, Sequence[str]]) -> None:
        self.graph, self.checks = graph, checks

    @classmethod
    def of(cls, tree: dg.ComponentTree | None) -> DeclaredGates:
        """Those of a component tree."""
        from flowforge_assets.components.known import known_tables

        if tree is None:
            raise AssertionError("definitions are loaded from a component tree")
        known = known_tables(tree)
        return cls(known.gates, known.checks)

    def place(self, asked: Asked) -> tuple[str, str, str | None]:
        """What is meant.

        Raises:
            DecisionError: no such table or check, several tables of the name, or a table that is not made from it.
        """
        asset = _find(asked.table, self.checks)
        if asked.check not in self.checks[asset]:
            known = did_you_mean(asked.check, self.checks[asset])
            raise DecisionError(f"{asset} has no check '{asked.check}'.{known}", "Name one of its checks.")
        if not asked.edge:
            return asset, asked.check, None
        edge = _find(asked.edge, self.graph.edges)
        if not self.graph.is_above(asset, edge):
            raise DecisionError(
                f"{edge} is not made from {asset}.", "Leave `--for` out, or name a table below it in the lineage."
            )
        return asset, asked.check, edge


def waive_check(
    lake: Lake,
    declared: DeclaredGates,
    asked: Asked,
    *,
    by: str | None,
    reason: str,
    until: str,
    now: datetime,
) -> Waiver:
    """Let a check's failure not count until a moment.

    Raises:
        DecisionError: something named is not there, there is no reason, the end is none or over, or the check says
            that rows were lost.
    """
    asset, check, edge = declared.place(asked)
    if check in NEVER_WAIVED:
        raise DecisionError(
            f"the check '{check}' of {asset} cannot be waived: where it fails, rows were lost or doubled.",
            "Run the table again; if it fails again, its account in the UI names the file and the rows that differ.",
        )
    waiver = Waiver(asset, check, decide(actor=by, reason=reason, now=now, until=until), edge)
    waive(lake, workflow_of(asset), waiver)
    return waiver


def revoke_waiver(
    lake: Lake, declared: DeclaredGates, asked: Asked, *, by: str | None, reason: str, now: datetime
) -> Waiver:
    """Take a waiver back; returns it.

    Raises:
        DecisionError: there is none, something named is not there, or there is no reason.
    """
    place = declared.place(asked)
    found = revoke(lake, workflow_of(place[0]), place, decide(actor=by, reason=reason, now=now))
    if found is None:
        limited = f" for {place[2]}" if place[2] else ""
        raise DecisionError(
            f"the check '{place[1]}' of {place[0]} is not waived{limited}.", "See `flowforge gate list` for what is."
        )
    return found


def said(waiver: Waiver) -> str:
    """A waiver in a sentence."""
    limited = f" for {waiver.edge}" if waiver.edge else ""
    return f"the check '{waiver.check}' of {waiver.asset} is waived{limited} {waiver.decision}"


def _find(name: str, known: Iterable[str]) -> str:
    """The asset of `workflow/asset`, `workflow.asset`, or the name alone where it is unique; `silver_` may be left out."""
    assets = sorted(known)
    wanted = name.strip().replace(".", "/")
    meant = [one for one in assets if wanted in (one, one.split("/", 1)[1])]
    meant = meant or [one for one in assets if wanted in _without_layer(one)]
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise DecisionError(f"'{name}' may be {' or '.join(meant)}.", "Name the workflow too.")
    raise DecisionError(f"there is no table '{name}'.{did_you_mean(wanted, assets)}", "Correct the name.")


def _without_layer(asset: str) -> tuple[str, str]:
    workflow, table = asset.split("/", 1)
    bare = table.removeprefix("silver_")
    return f"{workflow}/{bare}", bare
