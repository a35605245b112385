"""Deciding about quarantined rows: what may be decided, recorded so that nobody decides past another.

Belongs here: fix, waive, release, discard, restore. Does not: choosing rows (`waiting`), what a decision means for data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowforge_assets.quarantine.waiting import RELEASED, WAITS, Waiting, require_ids, require_single
from flowforge_checks.decided import Ruling, rulings
from flowforge_resources.errors import DecisionError, did_you_mean
from flowforge_resources.quarantine_decisions import DecidedRow, read_decisions, record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowforge_assets.table_spec import TableSpec
    from flowforge_resources.decisions import Decision
    from flowforge_resources.lake import Lake
    from flowforge_resources.quarantine_decisions import Action, RowDecision

Fixes = dict[str, str | None]


@dataclass(frozen=True)
class Recorded:
    """An entry, as it is told to the person who made it and to Dagster; holds no value of a row."""

    spec: TableSpec
    entry: RowDecision

    def as_dict(self) -> dict[str, Any]:
        """What was decided, of how many rows."""
        rows = self.entry.rows
        said: dict[str, Any] = {
            "table": str(self.spec.id),
            "action": self.entry.action,
            "rows": len(rows),
            "decision": self.entry.version,
            **self.entry.decision.as_dict(),
        }
        columns = sorted({name for row in rows for name in row.fixes})
        rules = sorted({name for row in rows for name in row.waives})
        return said | ({"columns": columns} if columns else {}) | ({"rules": rules} if rules else {})

    def __str__(self) -> str:
        done = {
            "fix": "fixed",
            "waive": "waived",
            "release": "released",
            "discard": "discarded",
            "restore": "restored",
        }[self.entry.action]
        count = f"{len(self.entry.rows):,} row{'s' if len(self.entry.rows) > 1 else ''}"
        due = {
            "fix": " Release to let it back in." if len(self.entry.rows) == 1 else " Release to let them back in.",
            "waive": " Release to let it back in." if len(self.entry.rows) == 1 else " Release to let them back in.",
            "release": " The next run of silver judges and merges.",
            "discard": "",
            "restore": " The next run of silver judges again, and what it holds waits.",
        }[self.entry.action]
        return f"{self.spec.id}: {count} {done} {self.entry.decision}.{due}"


def fix(lake: Lake, chosen: Waiting, fixes: Mapping[str, str | None], decision: Decision) -> Recorded:
    """Record new raw text for columns, the same for all chosen rows."""
    _require_rows(chosen)
    landed = as_landed(chosen.spec, chosen.columns, fixes)
    return fix_each(lake, chosen, {row.id: landed for row in chosen.rows}, decision)


def fix_each(lake: Lake, chosen: Waiting, fixes: Mapping[str, Fixes], decision: Decision) -> Recorded:
    """Record new raw text by row id and landed column."""
    if any(not one for one in fixes.values()) or not fixes:
        raise DecisionError("it sets no column.", "Say what is right: `--set column=value`.")
    rows = [row.named(fixes=fixes[row.id]) for row in chosen.rows if row.id in fixes]
    return _record_of(lake, chosen, "fix", rows, decision)


def waive(lake: Lake, chosen: Waiting, rules: Sequence[str], decision: Decision) -> Recorded:
    """Let the chosen rows break rules: those named, or all that each of them breaks.

    Raises:
        DecisionError: a rule that makes a row usable at all (its key, its types) cannot be waived.
    """
    _require_rows(chosen)
    may_be = {rule.check_name for rule in chosen.spec.rules}
    if unknown := [rule for rule in rules if not any(rule in row.rules for row in chosen.rows)]:
        known = {rule for row in chosen.rows for rule in row.rules}
        raise DecisionError(f"no chosen row breaks '{unknown[0]}'.{did_you_mean(unknown[0], known)}", "Name another.")
    entries = []
    for row in chosen.rows:
        wanted = {str(r["rule"]): str(r["fingerprint"]) for r in row.reasons if not rules or r["rule"] in rules}
        if hard := sorted(wanted.keys() - may_be):
            raise DecisionError(
                f"row {row.id[:12]} breaks '{hard[0]}', without which a row cannot be in silver.",
                f"Fix it, or discard it; what can be waived are the declared rules: {', '.join(sorted(may_be)) or 'none'}.",
            )
        if wanted:
            entries.append(row.named(waives=wanted))
    return _record_of(lake, chosen, "waive", entries, decision)


def release(lake: Lake, chosen: Waiting, decision: Decision) -> Recorded:
    """Let the chosen rows be judged again by the next run, with what was fixed and waived.

    Raises:
        DecisionError: a row is released already.
    """
    _require_rows(chosen)
    if done := [row for row in chosen.rows if row.status == RELEASED]:
        raise DecisionError(
            f"{len(done)} of the rows {'is' if len(done) == 1 else 'are'} released already ({done[0].id[:12]}…), and the next run takes them in.",
            "Run the workflow, or leave them out.",
        )
    return _record_of(lake, chosen, "release", [row.named() for row in chosen.rows], decision)


def discard(lake: Lake, chosen: Waiting, decision: Decision) -> Recorded:
    """Let the chosen rows stay out. They stay in bronze, and in the trail of decisions."""
    _require_rows(chosen)
    return _record_of(lake, chosen, "discard", [row.named() for row in chosen.rows], decision)


def discarded(lake: Lake, spec: TableSpec, ids: Sequence[str]) -> dict[str, Ruling]:
    """The rulings on discarded rows of a table whose ids begin so."""
    ruled = rulings(read_decisions(lake, spec.id))
    return {row: one for row, one in ruled.items() if one.discarded and row.startswith(tuple(ids))}


def restore(lake: Lake, spec: TableSpec, ids: Sequence[str], decision: Decision) -> Recorded:
    """Undo the discard of rows, given by id or its first letters: the next run judges them again.

    Raises:
        DecisionError: an id is too short, is no discarded row's, or could be several rows'.
    """
    require_ids(ids)
    found = discarded(lake, spec, ids)
    every = f"`SELECT * FROM {spec.id.workflow}_decisions.{spec.id.name}` by `flowforge query` shows every decision."
    require_single(
        ids, found, lambda one: DecisionError(f"no row of {spec.id} with the id '{one}' is discarded.", every)
    )
    rows = [DecidedRow(row, ruling.landings) for row, ruling in found.items()]
    seen = {row: ruling.decisions for row, ruling in found.items()}
    return _record(lake, spec, "restore", rows, decision, seen=seen)


def prepared(chosen: Waiting) -> Waiting:
    """Those of the chosen rows that were fixed or waived and not released."""
    return Waiting(chosen.spec, tuple(row for row in chosen.rows if row.status not in (WAITS, RELEASED)))


def as_landed(spec: TableSpec, columns: Sequence[str], fixes: Mapping[str, str | None]) -> Fixes:
    """New text by landed column; a column may be named as silver or as the file names it.

    Raises:
        DecisionError: there is no such column.
    """
    found: Fixes = {}
    for name, value in fixes.items():
        landed = spec.sources.get(name, name)
        if landed not in columns:
            known = {*spec.sources, *columns}
            raise DecisionError(
                f"'{name}' is no column of {spec.id} that lands.{did_you_mean(name, known)}",
                "Name a column of the file, or of silver that comes from one.",
            )
        found[landed] = value
    return found


def _record_of(lake: Lake, chosen: Waiting, action: Action, rows: Sequence[DecidedRow], decision: Decision) -> Recorded:
    seen = {row.id: row.ruling.decisions for row in chosen.rows}
    return _record(lake, chosen.spec, action, rows, decision, seen=seen)


def _record(
    lake: Lake,
    spec: TableSpec,
    action: Action,
    rows: Sequence[DecidedRow],
    decision: Decision,
    *,
    seen: Mapping[str, int],
) -> Recorded:
    """`seen`: how many decisions on each row the person knew of."""

    def decide(known: Sequence[RowDecision]) -> tuple[Action, Sequence[DecidedRow], Decision]:
        ruled = rulings(known)
        for row in rows:
            if ruled.get(row.id, Ruling(row.id)).decisions != seen[row.id]:
                last = next(one for one in reversed(known) if any(other.id == row.id for other in one.rows))
                raise DecisionError(
                    f"row {row.id[:12]} was decided meanwhile: {last.action} {last.decision}.",
                    "Look at it again, and decide then.",
                )
        return action, rows, decision

    return Recorded(spec, record(lake, spec.id, decide))


def _require_rows(chosen: Waiting) -> None:
    if not chosen.rows:
        raise DecisionError(
            f"no row of {chosen.spec.id} that waits was chosen.",
            f"`flowforge quarantine list {chosen.spec.id}` shows those that wait.",
        )
