"""A table's own gate: shut by its failed checks, opened where they pass, and what a waiver makes of them.

Belongs here: what every step that asks checks of a table needs. Does not: what is above the table, or a step that makes
it (`keeping`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from flowforge_checks.holding import NEVER_WAIVED, GateReader, workflow_of
from flowforge_resources.gates import FailedCheck, Gates, Held, change_gates, settle
from flowforge_resources.layout import utc_now

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import dagster as dg

    from flowforge_checks.holding import GateGraph
    from flowforge_checks.results import Outcome
    from flowforge_resources.lake import Lake


class OwnGate:
    """The gate of one table, as a run sees it."""

    def __init__(self, lake: Lake, key: dg.AssetKey, graph: GateGraph, run_id: str) -> None:
        self.asset, self._lake, self._graph, self._run_id = key.to_user_string(), lake, graph, run_id
        self._gates, self._now = GateReader(lake), utc_now()
        self._waived: set[str] = set()

    def waived(self, outcomes: Iterable[Outcome]) -> tuple[Outcome, ...]:
        """The same, where a blocking check that failed and was waived only warns, and says by whom it was."""
        return tuple(self._waive(one) if one.blocks and not one.passed else one for one in outcomes)

    def _waive(self, outcome: Outcome) -> Outcome:
        waiver = self._gates.waiver(self.asset, outcome.check, of=None, now=self._now)
        if waiver is None or waiver.edge is not None or outcome.check in NEVER_WAIVED:
            return outcome
        self._waived.add(outcome.check)
        decision = waiver.decision
        said = {"waived_by": decision.actor, "waived_because": decision.reason, "waived_at": decision.at.isoformat()}
        said |= {"waived_until": decision.until.isoformat()} if decision.until else {}
        return replace(
            outcome,
            warns=True,
            blocks=False,
            description=f"{outcome.description or 'It fails.'} Published all the same: waived {decision}.",
            metadata={**outcome.metadata, **said},
        )

    def settle_apart(self, outcomes: Sequence[Outcome]) -> None:
        """Shut or open the gate of a published table by what checks with a step of their own said of it.

        What the gate shuts off waits from then on, though nobody has asked for it yet: where the check passes by itself
        later, no run of the table would bring what is made from it.
        """
        counts = self._graph.named(self.asset) | self._waived
        failed = [one for one in outcomes if not one.passed and (one.blocks or one.check in counts)]
        now_failed = [self._failed(one, (), published=True, everything=True) for one in failed]
        seen = [one for one in self._own if any(one.check == said.check for said in outcomes)]
        if not seen and not now_failed:
            return
        settle(self._lake, workflow_of(self.asset), self.asset, seen=seen, now_failed=now_failed)
        for one in now_failed:
            if one.check not in self._waived:
                self._hold_below(one)

    def _hold_below(self, failed: FailedCheck) -> None:
        held = Held(self._now.isoformat(), self._run_id, (f"{self.asset}:{failed.check}",))
        for below in self._graph.held_by(self.asset, failed):
            if below not in self._gates(workflow_of(below)).held:
                change_gates(self._lake, workflow_of(below), partial(Gates.with_held, asset=below, held=held))

    @property
    def _own(self) -> tuple[FailedCheck, ...]:
        return self._gates.failed(self.asset)

    def _failed(
        self, outcome: Outcome, partitions: tuple[str, ...], *, published: bool, everything: bool
    ) -> FailedCheck:
        before = next((one for one in self._own if one.check == outcome.check), None)
        whole = everything or not partitions or (before is not None and not before.partitions)
        known = before.partitions if before else ()
        return FailedCheck(
            check=outcome.check,
            blocking=outcome.blocks or outcome.check in self._waived,
            since=before.since if before else self._now.isoformat(),
            failed_at=self._now.isoformat(),
            run_id=self._run_id,
            rows_broken=outcome.rows_broken,
            said=outcome.description or "",
            published=published,
            partitions=() if whole else tuple(sorted({*known, *partitions})),
        )
