"""What a comparison found, and how it is shown: a check's outcome, and rows of its history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowforge_checks.results import Outcome, as_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowforge_checks.reconciliation.spec import Reconciliation

SHOWN = 50


@dataclass(frozen=True)
class Finding:
    """One measure of one group: what each side says, how far apart they are and may be. Values are shown as text."""

    measure: str
    group: str
    left: str
    right: str
    difference: str
    allowed: str
    agrees: bool

    def row(self) -> dict[str, Any]:
        """For a table."""
        grouped = {"group": self.group} if self.group else {}
        return {
            "measure": self.measure,
            **grouped,
            "left": self.left,
            "right": self.right,
            "difference": self.difference,
            "allowed": self.allowed,
            "agrees": "yes" if self.agrees else "NO",
        }


@dataclass(frozen=True)
class Compared:
    """Everything one evaluation found. `examples`: rows that differ; `columns`: how many rows differ in each column."""

    findings: tuple[Finding, ...]
    columns: tuple[Mapping[str, Any], ...] = ()
    examples: tuple[Mapping[str, Any], ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether the sides say the same."""
        return all(one.agrees for one in self.findings)

    def __add__(self, other: Compared) -> Compared:
        return Compared(self.findings + other.findings, self.columns + other.columns, self.examples + other.examples)

    def ordered(self) -> list[Finding]:
        """Those that disagree first."""
        return sorted(self.findings, key=lambda one: one.agrees)

    def sentence(self) -> str:
        """What disagrees."""
        apart = [one for one in self.findings if not one.agrees]
        if not apart:
            one = len(self.findings) == 1
            return f"{len(self.findings):,} {'comparison agrees' if one else 'comparisons agree'}."
        first = apart[0]
        where = f" of {first.group}" if first.group else ""
        said = f"{first.measure}{where}: {first.left} on the left, {first.right} on the right"
        more = f"; {len(apart) - 1:,} more {'disagrees' if len(apart) == 2 else 'disagree'}" if len(apart) > 1 else ""  # noqa: PLR2004  # the first, and one more
        return f"{said}{more}."


def outcome_of(spec: Reconciliation, check: str, found: Compared) -> Outcome:
    """The check."""
    apart = sum(not one.agrees for one in found.findings)
    metadata: dict[str, Any] = {"comparisons": len(found.findings), "disagree": apart}
    if found.findings:
        metadata["measures"] = as_table(_alike([one.row() for one in found.ordered()[:SHOWN]]))
    if found.columns:
        metadata["columns_that_differ"] = as_table(found.columns)
    if found.examples:
        metadata["examples"] = as_table(found.examples)
    return Outcome(
        check,
        passed=found.agrees,
        warns=spec.warns,
        blocks=spec.blocks,
        rows_broken=apart,
        description=None if found.agrees else found.sentence(),
        metadata=metadata,
    )


def _alike(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the same columns: without a group where some measure is of no group."""
    grouped = any("group" in row for row in rows)
    order = [
        "measure",
        *(["group"] if grouped else []),
        *(name for name in rows[0] if name not in ("measure", "group")),
    ]
    return [{name: row.get(name, "") for name in order} for row in rows]
