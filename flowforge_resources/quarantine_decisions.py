"""What people decided about quarantined rows: numbered entries beside a table's quarantine, written once, never changed.

An entry is created exclusively under the next number, as a bronze run's is: of two people who decide at once one is
told, reads what the other decided, and looks again. The entries are data as bronze is: what a silver table holds is a
function of its bronze and of these, so that losing the quarantine file or the Dagster instance loses no decision.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from flowforge_resources.decisions import Decision
from flowforge_resources.errors import FlowForgeError
from flowforge_resources.side_by_side import AT_ONCE, side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flowforge_resources.lake import Lake
    from flowforge_resources.layout import TableId

Action = Literal["fix", "release", "waive", "discard"]
# Of which one is lost to another person for each attempt; nobody decides so often.
_ATTEMPTS = 50


@dataclass(frozen=True)
class Landing:
    """Where a row stood when it landed, and the run that held it. `ingested_at`: ISO, as bronze has it."""

    source_file: str
    row_number: int
    ingested_at: str
    run: str


@dataclass(frozen=True)
class DecidedRow:
    """One quarantined row as a decision names it. `fixes`: new raw text by landed column, None to empty it."""

    id: str
    landings: tuple[Landing, ...] = ()
    fixes: Mapping[str, str | None] = field(default_factory=dict)
    waives: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> DecidedRow:
        """As an entry has it."""
        return cls(raw["id"], tuple(Landing(**one) for one in raw["landings"]), raw["fixes"], raw["waives"])


@dataclass(frozen=True)
class RowDecision:
    """One entry: what was decided of some rows, by whom, why, when and until when.

    `waives` of a row: the rules it may break, each with the fingerprint it had.
    """

    version: int
    action: Action
    rows: tuple[DecidedRow, ...]
    decision: Decision

    @classmethod
    def parse(cls, content: bytes) -> RowDecision:
        """Read an entry as `to_json` wrote it."""
        raw = json.loads(content)
        return cls(raw["version"], raw["action"], tuple(map(DecidedRow.of, raw["rows"])), Decision.of(raw))

    def to_json(self) -> bytes:
        """The entry as it stands on the lake."""
        said = {"version": self.version, "action": self.action, **self.decision.as_dict()}
        return json.dumps({**said, "rows": [asdict(row) for row in self.rows]}, indent=1).encode()

    def as_rows(self) -> list[dict[str, Any]]:
        """One record a row, for those who query the trail. Says which columns were fixed; the values are in the entry."""
        return [
            {
                "version": self.version,
                "action": self.action,
                "quarantine_id": row.id,
                "columns": sorted(row.fixes),
                "rules": sorted(row.waives),
                "actor": self.decision.actor,
                "reason": self.decision.reason,
                "decided_at": self.decision.at,
                "until": self.decision.until,
                "source_file": row.landings[0].source_file if row.landings else None,
                "row_number": row.landings[0].row_number if row.landings else None,
                "held_by_run": row.landings[0].run if row.landings else None,
            }
            for row in self.rows
        ]


def trail_schema() -> dict[str, Any]:
    """Columns and Polars types of what `as_rows` makes."""
    import polars as pl

    texts = dict.fromkeys(("action", "quarantine_id"), pl.String)
    lists = dict.fromkeys(("columns", "rules"), pl.List(pl.String))
    moments = dict.fromkeys(("decided_at", "until"), pl.Datetime("us", "UTC"))
    place = {"source_file": pl.String, "row_number": pl.Int64, "held_by_run": pl.String}
    return {"version": pl.Int64, **texts, **lists, "actor": pl.String, "reason": pl.String, **moments, **place}


def read_decisions(lake: Lake, table: TableId, *, upto: int | None = None) -> list[RowDecision]:
    """All entries in order, or those up to a version: asked for by number, one, then two, four, … until one is missing."""
    found: list[RowDecision] = []
    ahead = 1
    while upto is None or len(found) < upto:
        ahead = ahead if upto is None else min(ahead, upto - len(found))
        contents = side_by_side(lake.read, [table.decision(len(found) + number + 1) for number in range(ahead)])
        whole = contents.index(None) if None in contents else ahead
        found += [RowDecision.parse(content) for content in contents[:whole] if content is not None]
        if whole < ahead:
            return found
        ahead = min(ahead * 2, 4 * AT_ONCE)
    return found


def record(
    lake: Lake, table: TableId, decide: Callable[[Sequence[RowDecision]], tuple[Action, Sequence[DecidedRow], Decision]]
) -> RowDecision:
    """Add one entry.

    Args:
        lake: the lake.
        table: whose rows are decided.
        decide: given what was decided so far, says what is decided now, or raises; asked again where another person
            was quicker.
    """
    for _ in range(_ATTEMPTS):
        known = read_decisions(lake, table)
        action, rows, decision = decide(known)
        entry = RowDecision(len(known) + 1, action, tuple(rows), decision)
        if lake.create(table.decision(entry.version), entry.to_json()):
            return entry
    raise FlowForgeError(f"{table}: others decided at the same time {_ATTEMPTS} times in a row. Nothing was recorded.")
