"""The gates of a workflow as they lie on the lake: which checks failed, who waived what, and which tables are held.

One small object a workflow, so that a step learns all it needs by one read. It is changed by compare-and-swap; what
happened is also written to a trail that only grows. A workflow in which nothing ever failed has neither.

Belongs here: the state, and changing it. Does not: what a failed check means for another table (`flowforge_checks.holding`).
Assets are named `workflow/asset`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from flowforge_resources.decisions import Decision
from flowforge_resources.errors import ConcurrentPublishError
from flowforge_resources.layout import gate_event, gate_events, gates_file, utc_now
from flowforge_resources.side_by_side import side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from flowforge_resources.lake import Lake

_ATTEMPTS = 20


@dataclass(frozen=True)
class FailedCheck:
    """A check of a table that failed when it was last asked, and may hold what is made from the table.

    `published`: the table holds what the check failed on, because it was waived or does not block. `partitions`: those
    that were chosen to be made anew when it failed; empty for a batch.
    """

    check: str
    blocking: bool
    since: str
    failed_at: str
    run_id: str
    rows_broken: int = 0
    said: str = ""
    published: bool = False
    partitions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Waiver:
    """A person's decision that a failed check of a table does not count; `edge`: for one table made from it only."""

    asset: str
    check: str
    decision: Decision
    edge: str | None = None

    @property
    def place(self) -> tuple[str, str, str | None]:
        """What it is about: a later waiver of the same place replaces it."""
        return self.asset, self.check, self.edge

    def covers(self, asset: str, check: str, *, of: str | None, now: datetime) -> bool:
        """Whether it counts for a check, as seen from the table `of` (None: from the failed table itself)."""
        return (self.asset, self.check) == (asset, check) and self.edge in (None, of) and self.decision.counts(now)


@dataclass(frozen=True)
class Held:
    """A table that was to be made and was not, because of `behind`: failed checks as `workflow/asset:check`."""

    since: str
    run_id: str
    behind: tuple[str, ...]
    partitions: tuple[str, ...] = ()
    nonce: str = field(default_factory=lambda: uuid4().hex)


@dataclass(frozen=True)
class Gates:
    """All gates of a workflow: failed checks and held tables by asset, and waivers of its checks."""

    failed: Mapping[str, tuple[FailedCheck, ...]] = field(default_factory=dict)
    held: Mapping[str, Held] = field(default_factory=dict)
    waivers: tuple[Waiver, ...] = ()

    def waiver(self, asset: str, check: str, *, of: str | None, now: datetime) -> Waiver | None:
        """The waiver that counts for a check, if any."""
        return next((one for one in self.waivers if one.covers(asset, check, of=of, now=now)), None)

    def with_failed(self, asset: str, checks: Iterable[FailedCheck]) -> Gates:
        """The same with other failed checks of one asset."""
        others = {name: those for name, those in self.failed.items() if name != asset}
        listed = tuple(sorted(checks, key=lambda one: one.check))
        return replace(self, failed={**others, asset: listed} if listed else others)

    def with_held(self, asset: str, held: Held | None) -> Gates:
        """The same with one table held, or not held any more."""
        others = {name: one for name, one in self.held.items() if name != asset}
        return replace(self, held={**others, asset: held} if held else others)

    def without_waiver(self, place: tuple[str, str, str | None]) -> Gates:
        """The same without the waiver of a place."""
        return replace(self, waivers=tuple(one for one in self.waivers if one.place != place))


NO_GATES = Gates()


def read_gates(lake: Lake, workflow: str) -> Gates:
    """The gates of a workflow, in one request."""
    content = lake.read(gates_file(workflow))
    return NO_GATES if content is None else _parse(json.loads(content))


def change_gates(lake: Lake, workflow: str, change: Callable[[Gates], Gates]) -> None:
    """Change the gates of a workflow; `change` is called again where another process came first.

    Raises:
        ConcurrentPublishError: others came first again and again.
    """
    key = gates_file(workflow)
    for _ in range(_ATTEMPTS):
        found = lake.read_stored(key)
        before = _parse(json.loads(found[1])) if found else NO_GATES
        after = change(before)
        if after == before:
            return
        if lake.swap_content(key, _document(after), expected=found[0] if found else None) is not None:
            return
    raise ConcurrentPublishError(f"the gates of {workflow}")


def settle(
    lake: Lake, workflow: str, asset: str, *, seen: Iterable[FailedCheck], now_failed: Iterable[FailedCheck]
) -> None:
    """Replace what a run saw of an asset's failed checks by what it found.

    What another run wrote meanwhile stays: this run has not judged that.
    """
    seen, now_failed = tuple(seen), tuple(now_failed)
    names = {one.check for one in now_failed}

    def change(gates: Gates) -> Gates:
        stays = [one for one in gates.failed.get(asset, ()) if one not in seen and one.check not in names]
        return gates.with_failed(asset, [*stays, *now_failed])

    before, after = {one.check for one in seen}, names
    change_gates(lake, workflow, change)
    for what, checks in (("shut", after - before), ("opened", before - after)):
        for check in sorted(checks):
            by = next((one.run_id for one in now_failed if one.check == check), "")
            record(lake, workflow, {"what": what, "asset": asset, "check": check, "run_id": by})


def waive(lake: Lake, workflow: str, waiver: Waiver) -> None:
    """Let a decision count from now on; it is on the trail before it counts."""
    record(lake, workflow, {"what": "waived", **_waiver(waiver)}, waiver.decision.at)
    change_gates(
        lake,
        workflow,
        lambda gates: replace(
            gates.without_waiver(waiver.place), waivers=(*gates.without_waiver(waiver.place).waivers, waiver)
        ),
    )


def revoke(lake: Lake, workflow: str, place: tuple[str, str, str | None], decision: Decision) -> Waiver | None:
    """Take a waiver back; returns it, or None where there was none."""
    found = next((one for one in read_gates(lake, workflow).waivers if one.place == place), None)
    if found is None:
        return None
    said = {"what": "revoked", "asset": place[0], "check": place[1], "edge": place[2], **decision.as_dict()}
    record(lake, workflow, said, decision.at)
    change_gates(lake, workflow, lambda gates: gates.without_waiver(place))
    return found


def record(lake: Lake, workflow: str, event: Mapping[str, Any], at: datetime | None = None) -> None:
    """Add to the trail; nothing there is ever changed."""
    moment, nonce = at or utc_now(), uuid4().hex
    content = {"at": moment.isoformat(), **event, "nonce": nonce}
    lake.create(gate_event(workflow, moment, nonce), json.dumps(content, indent=1).encode())


def trail(lake: Lake, workflow: str) -> list[dict[str, Any]]:
    """What ever happened at the gates of a workflow, oldest first."""
    keys = sorted(stored.key for stored in lake.objects(gate_events(workflow)))
    contents = side_by_side(lake.read, keys)
    return [json.loads(content) for content in contents if content]


def _document(gates: Gates) -> bytes:
    document = {
        "failed": {asset: [asdict(one) for one in checks] for asset, checks in sorted(gates.failed.items())},
        "held": {asset: asdict(one) for asset, one in sorted(gates.held.items())},
        "waivers": [_waiver(one) for one in gates.waivers],
        "nonce": uuid4().hex,
    }
    return json.dumps(document, indent=1).encode()


def _waiver(waiver: Waiver) -> dict[str, Any]:
    return {"asset": waiver.asset, "check": waiver.check, "edge": waiver.edge, **waiver.decision.as_dict()}


def _parse(raw: Mapping[str, Any]) -> Gates:
    failed = {
        asset: tuple(FailedCheck(**{**one, "partitions": tuple(one["partitions"])}) for one in checks)
        for asset, checks in raw["failed"].items()
    }
    held = {
        asset: Held(**{**one, "behind": tuple(one["behind"]), "partitions": tuple(one["partitions"])})
        for asset, one in raw["held"].items()
    }
    waivers = tuple(Waiver(one["asset"], one["check"], Decision.of(one), one["edge"]) for one in raw["waivers"])
    return Gates(failed, held, waivers)
