"""What follows from all that was decided of a quarantined row: how it is judged when its content lands or is read again.

Belongs here: folding decisions, in their order, into one ruling a row. Does not: recording them
(`flowforge_resources.quarantine_decisions`), laying them over bronze (`flowforge_assets.transforms.laid_over`).

A fix and a waiver are prepared, and count from the next `release` of the row on; a `discard` counts at once, until a
later release takes it back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from flowforge_resources.quarantine_decisions import DecidedRow, Landing, RowDecision

PART = "-"


@dataclass(frozen=True)
class Waived:
    """A rule that a row may break, as the rule was, for what landed until a moment."""

    fingerprint: str
    until: datetime | None


@dataclass(frozen=True)
class Ruling:
    """All that was decided of one row.

    `fixes`, `waives`: those that count. `planned_fixes`, `planned_waives`: those the next release makes count.
    `released`: version of the newest release; 0 for none. `until`: what lands later is judged without this ruling.
    """

    id: str
    decisions: int = 0
    fixes: Mapping[str, str | None] = field(default_factory=dict)
    waives: Mapping[str, Waived] = field(default_factory=dict)
    planned_fixes: Mapping[str, str | None] = field(default_factory=dict)
    planned_waives: Mapping[str, Waived] = field(default_factory=dict)
    released: int = 0
    discarded: int = 0
    until: datetime | None = None
    landings: tuple[Landing, ...] = ()

    @property
    def content(self) -> str:
        """The landed row's part of the id."""
        return self.id.partition(PART)[0]

    @property
    def part(self) -> str:
        """Which of the rows that transforms made of the landed one; empty where there is one."""
        return self.id.partition(PART)[2]

    @property
    def counts(self) -> bool:
        """Whether it changes how the row is judged."""
        return bool(self.released or self.discarded)

    def after(self, one: RowDecision, row: DecidedRow) -> Ruling:
        """This ruling and one more decision."""
        said = {**vars(self), "decisions": self.decisions + 1, "landings": row.landings or self.landings}
        until = one.decision.until
        if one.action == "fix":
            said["planned_fixes"] = {**self.planned_fixes, **row.fixes}
        elif one.action == "waive":
            waived = {rule: Waived(fingerprint, until) for rule, fingerprint in row.waives.items()}
            said["planned_waives"] = {**self.planned_waives, **waived}
        elif one.action == "release":
            said |= {"fixes": self.planned_fixes, "waives": self.planned_waives}
            said |= {"released": one.version, "discarded": 0, "until": until}
        else:
            said |= {"discarded": one.version, "until": until}
        return Ruling(**said)


def rulings(decisions: Iterable[RowDecision]) -> dict[str, Ruling]:
    """The ruling on every row that was decided of, by the row's id."""
    found: dict[str, Ruling] = {}
    for one in decisions:
        for row in one.rows:
            found[row.id] = found.get(row.id, Ruling(row.id)).after(one, row)
    return found


def releases_after(decisions: Iterable[RowDecision], version: int) -> bool:
    """Whether rows were released later than a version."""
    return any(one.action == "release" and one.version > version for one in decisions)


def discards_after(decisions: Iterable[RowDecision], version: int) -> bool:
    """Whether rows were discarded later than a version."""
    return any(one.action == "discard" and one.version > version for one in decisions)


def discards(decisions: Iterable[RowDecision]) -> list[tuple[str, str | None]]:
    """The rows that are discarded, by id, with the moment after which they are not (ISO, UTC without saying so)."""
    return [
        (one.id, one.until.replace(tzinfo=None).isoformat(" ") if one.until else None)
        for one in rulings(decisions).values()
        if one.discarded
    ]
