"""A step at its gate: held where something above it failed; and what its own failed checks mean for what is below.

A step that is held publishes nothing and does not fail: waiting is what it is meant to do. Its check `upstream_gate`
fails and says for what it waits. It is reported only then, and once when the gate has opened, and it is left out of the
workflow's job, where a check that is planned and says nothing costs two events: a table that nothing holds pays for one
small read of the lake.

Belongs here: asking and telling the lake, and what the step says. Does not: what an edge means (`flowforge_checks.holding`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import dagster as dg

from flowforge_assets.gates.own import OwnGate
from flowforge_assets.partitions.definitions import chosen_partitions
from flowforge_checks.holding import UPSTREAM_GATE, workflow_of
from flowforge_checks.results import Outcome, as_table, blocks_publishing, still_true
from flowforge_resources.gates import FailedCheck, Held, change_gates, settle

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flowforge_checks.holding import GateGraph, Hold
    from flowforge_resources.lake import Lake
    from flowforge_resources.published import Published

SHOWN = 20
OPEN = Outcome(UPSTREAM_GATE, passed=True, description="No gate above is shut.")


def gate_spec(key: dg.AssetKey) -> dg.AssetCheckSpec:
    """The check that says for what a table waits."""
    said = "Nothing above this table holds it. Reported while something does, and once when that is over."
    return dg.AssetCheckSpec(UPSTREAM_GATE, asset=key, description=said)


class Gatekeeper(OwnGate):
    """What one step has to do with gates: those above its table, and its table's own.

    `checks`: the names of the table's checks.
    """

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        lake: Lake,
        key: dg.AssetKey,
        graph: GateGraph,
        checks: Iterable[str],
    ) -> None:
        super().__init__(lake, key, graph, context.run.run_id)
        self._context, self._key, self._checks = context, key, frozenset(checks)

    # -- above ----------------------------------------------------------------------------------------------------

    @cached_property
    def holds(self) -> tuple[Hold, ...]:
        """What holds the table now."""
        return self._graph.holds(self.asset, self._gates, self._now)

    def hold(self) -> Outcome:
        """Note that the table is held; returns what its check says."""
        names, chosen = tuple(one.name for one in self.holds), chosen_partitions(self._context)
        before = self._gates(workflow_of(self.asset)).held.get(self.asset)
        if before is None or before.behind != names or (before.partitions and before.partitions != chosen):
            # What waits as a whole goes on doing so, whatever part of it is asked for meanwhile.
            parts = () if before and not before.partitions else chosen
            held = Held(before.since if before else self._now.isoformat(), self._context.run.run_id, names, parts)
            self._change_held(held)
        outcome = held_outcome(self.asset, self.holds)
        self._context.log.warning("%s: %s", self.asset, outcome.description)
        self._say(outcome)
        return outcome

    def release(self) -> None:
        """Note that the table is not held any more, if it was."""
        if not self._graph.edges.get(self.asset) or self.asset not in self._gates(workflow_of(self.asset)).held:
            return
        self._change_held(None)
        self._say(OPEN)

    def _say(self, outcome: Outcome) -> None:
        result = outcome.result(self._key)
        self._context.log_event(
            dg.AssetCheckEvaluation(
                asset_key=self._key,
                check_name=outcome.check,
                passed=result.passed,
                severity=result.severity,
                description=result.description,
                metadata=result.metadata or {},
            )
        )

    def _change_held(self, held: Held | None) -> None:
        change_gates(self._lake, workflow_of(self.asset), lambda gates: gates.with_held(self.asset, held))

    # -- its own --------------------------------------------------------------------------------------------------

    def stood(self, checks: Iterable[str], published: Published) -> list[Outcome]:
        """Blocking checks of a version that stays, which passed them all but for what was waived then."""
        run = published.facts.get("run_id")
        failed = {one.check for one in self._own if one.published and one.run_id == run}
        return [still_true(name) for name in checks if name not in failed]

    def settle(
        self, outcomes: Sequence[Outcome], *, partitions: tuple[str, ...] = (), everything: bool = False
    ) -> None:
        """Shut the table's gate by what failed and open it by what passed.

        Args:
            outcomes: what the checks said, waived ones among them.
            partitions: those that were chosen and judged; none: what is new was judged.
            everything: the whole table was made anew.
        """
        published = self._key in self._context.selected_asset_keys and not blocks_publishing(outcomes)
        counts = self._graph.named(self.asset) | self._waived
        failed = [one for one in outcomes if not one.passed and (one.blocks or one.check in counts)]
        now_failed = [self._failed(one, partitions, published=published, everything=everything) for one in failed]
        said = {one.check for one in outcomes}
        stays = [self._left(one, said, partitions, everything=everything) for one in self._own]
        after = {one.check: one for one in (*(one for one in stays if one), *now_failed)}
        if after or self._own:
            settle(self._lake, workflow_of(self.asset), self.asset, seen=self._own, now_failed=after.values())

    def settle_published(self, outcomes: Sequence[Outcome], published: Published) -> None:
        """Shut the table's gate by what its published version breaks; open it by what that one passes.

        A batch that failed and was not published is another matter: it goes on shutting the gate.
        """
        run = str(published.facts.get("run_id"))
        counts = self._graph.named(self.asset) | self._waived
        failed = [one for one in outcomes if not one.passed and (one.blocks or one.check in counts)]
        now_failed = [replace(self._failed(one, (), published=True, everything=True), run_id=run) for one in failed]
        passed = {one.check for one in outcomes if one.passed}
        stays = [one for one in self._own if not (one.published and one.run_id == run and one.check in passed)]
        after = {one.check: one for one in (*stays, *now_failed)}
        if after or self._own:
            settle(self._lake, workflow_of(self.asset), self.asset, seen=self._own, now_failed=after.values())

    def _left(
        self, failed: FailedCheck, said: set[str], partitions: tuple[str, ...], *, everything: bool
    ) -> FailedCheck | None:
        """What is left of an earlier failure after this run; None: nothing, it passed or nobody asks it any more."""
        if failed.check not in self._checks | self._graph.asked_apart(self.asset):
            return None
        if failed.check not in said:
            return failed
        if everything:
            return None
        if not failed.partitions:
            return failed if partitions else None
        left = tuple(name for name in failed.partitions if name not in partitions)
        return replace(failed, partitions=left) if left else None


def held_outcome(asset: str, holds: Sequence[Hold]) -> Outcome:
    """What the check of a held table says: for what it waits since when, and what a person can do."""
    first = holds[0]
    more = f", and {len(holds) - 1} more" if len(holds) > 1 else ""
    rows = [
        {
            "table": one.asset,
            "check": one.failed.check,
            "since": one.failed.since,
            "rows_broken": one.failed.rows_broken,
            "by_way_of": ", ".join(one.way),
        }
        for one in holds[:SHOWN]
    ]
    said = (
        f"Held, and left as it was: {first}{more}. It is made when that passes. To go on all the same: "
        f"`flowforge gate waive {first.asset} {first.failed.check} --reason … --until …`, "
        f"with `--for {asset}` for this table alone."
    )
    return Outcome(UPSTREAM_GATE, passed=False, description=said, metadata={"held_by": as_table(rows)})
