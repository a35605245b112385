"""What became of the rows that a run put into quarantine: later releases are booked on the run they came from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from flowforge_checks.decided import rulings
from flowforge_checks.quarantine import LANDINGS
from flowforge_resources.duck import connect, literal, one_row
from flowforge_resources.errors import FlowForgeError
from flowforge_resources.layout import TableId
from flowforge_resources.quarantine_decisions import read_decisions
from flowforge_resources.run_reports import find_reports, read_report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowforge_resources.lake import Lake
    from flowforge_resources.run_reports import RunReport


class NoSuchRunError(FlowForgeError):
    """No run of that id reported anything."""


@dataclass(frozen=True)
class HeldBy:
    """The rows that one run held of one table, and where they are now.

    `released`: by the run that took them in. `otherwise`: an earlier run had held them already, or they left with a file
    that was uploaded again, or when the table was made anew by other rules.
    """

    table: str
    quarantined: int
    released: dict[str, int]
    discarded: int
    waiting: int

    @property
    def otherwise(self) -> int:
        """Rows that no decision explains."""
        return max(0, self.quarantined - sum(self.released.values()) - self.discarded - self.waiting)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {**asdict(self), "otherwise": self.otherwise}

    def __str__(self) -> str:
        parts = [f"{rows:,} released in run {run[:8]}" for run, rows in self.released.items()]
        parts += [f"{self.discarded:,} discarded"] if self.discarded else []
        parts += [f"{self.waiting:,} waiting"] if self.waiting else []
        parts += (
            [f"{self.otherwise:,} held by an earlier run already, or gone when the table was made anew"]
            if self.otherwise
            else []
        )
        return f"{self.table}: of {self.quarantined:,} quarantined, {', '.join(parts)}"


def held_by(lake: Lake, workflow: str, run: str) -> list[HeldBy]:
    """What a run held of each table, and what became of it; `run`: its id, or the first letters of it.

    Raises:
        NoSuchRunError: no run of that id reported.
    """
    folders = find_reports(lake, workflow, run)
    if not folders:
        raise NoSuchRunError(f"No run of {workflow} whose id begins with '{run}' reported to {lake.url}.")
    reports = [read_report(lake, workflow, folder) for folder in folders]
    first = reports[0]
    return [
        _of_table(lake, TableId(workflow, asset.asset.removeprefix("silver_")), first.run_id, rows, reports)
        for asset in first.of_layer("silver")
        if (rows := asset.books.get("quarantined", 0)) and not asset.blocked
    ]


def _of_table(lake: Lake, table: TableId, run: str, quarantined: int, reports: Sequence[RunReport]) -> HeldBy:
    released = {
        later.run_id: asset.released_from[run]
        for later in reports
        for asset in later.of_layer("silver")
        if asset.asset == table.silver_key[-1] and run in asset.released_from
    }
    ruled = rulings(read_decisions(lake, table)).values()
    gone = {one.id for one in ruled if one.discarded}
    discarded = sum(landing.run == run for one in ruled if one.discarded for landing in one.landings)
    return HeldBy(str(table), quarantined, released, discarded, _waiting(lake, table, run, gone))


def _waiting(lake: Lake, table: TableId, run: str, gone: set[str]) -> int:
    if lake.head(table.quarantine) is None:
        return 0
    with lake.scratch() as scratch, connect(scratch.root) as connection:
        file = literal(str(lake.stage_in(table.quarantine, scratch)))
        out = ", ".join(map(literal, sorted(gone))) or "NULL"
        rows = f"SELECT unnest({LANDINGS}).run AS run FROM read_parquet({file}) WHERE (_quarantine_id IN ({out})) IS NOT TRUE"
        return int(one_row(connection, f"SELECT count(*) FROM ({rows}) WHERE run = {literal(run)}")[0])
