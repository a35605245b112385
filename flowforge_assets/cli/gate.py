"""What `flowforge gate` shows and does."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from flowforge_assets.catalog import declared_workflows, find_workflow
from flowforge_assets.gates.decisions import Asked, DeclaredGates, revoke_waiver, waive_check
from flowforge_resources.gates import read_gates, trail
from flowforge_resources.lake import Lake
from flowforge_resources.layout import utc_now

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from rich.console import RenderableType

    from flowforge_resources.gates import FailedCheck, Gates, Waiver


@dataclass(frozen=True)
class Shown:
    """The gates of some workflows at a moment."""

    gates: Mapping[str, Gates]
    now: datetime

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        failed = [
            {"table": asset, **asdict(one), "counts": self._state(gates, asset, one)}
            for gates, asset, one in self._failed()
        ]
        held = [
            {"table": asset, **asdict(one)}
            for gates in self.gates.values()
            for asset, one in sorted(gates.held.items())
        ]
        return {"failed": failed, "held": held, "waivers": [self._waiver(one) for one in self._waivers()]}

    def render(self) -> RenderableType:
        """For the terminal."""
        from rich.console import Group
        from rich.text import Text

        found = self.as_dict()
        if not any(found.values()):
            return Text("All gates are open: no check fails that holds anything, no table is held, nothing is waived.")
        parts = [
            _table("Failed checks", found["failed"], ("table", "check", "rows_broken", "since", "counts")),
            _table("Held tables", found["held"], ("table", "since", "behind")),
            _table("Waivers", found["waivers"], ("table", "check", "only_for", "actor", "reason", "until", "counts")),
        ]
        return Group(*(part for part in parts if part))

    def _failed(self) -> list[tuple[Gates, str, FailedCheck]]:
        return [
            (gates, asset, one)
            for gates in self.gates.values()
            for asset, checks in sorted(gates.failed.items())
            for one in checks
        ]

    def _state(self, gates: Gates, asset: str, failed: FailedCheck) -> str:
        if waiver := gates.waiver(asset, failed.check, of=None, now=self.now):
            return f"no, waived {waiver.decision}"
        return "yes" if failed.blocking else "where `gates` names it"

    def _waivers(self) -> list[Waiver]:
        return [one for gates in self.gates.values() for one in gates.waivers]

    def _waiver(self, waiver: Waiver) -> dict[str, Any]:
        counts = "yes" if waiver.decision.counts(self.now) else "no, expired"
        named = {"table": waiver.asset, "check": waiver.check, "only_for": waiver.edge}
        return {**named, **waiver.decision.as_dict(), "counts": counts}


def _table(title: str, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> RenderableType | None:
    from rich.table import Table
    from rich.text import Text

    if not rows:
        return None
    table = Table(title=f"{title}, times in UTC", title_justify="left", box=None, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(row[column])) for column in columns))
    return table


def _cell(value: object) -> str:
    if isinstance(value, list | tuple):
        return "\n".join(map(str, value))
    return (
        ""
        if value is None
        else str(value).replace("T", " ").removesuffix("+00:00")
        if _is_moment(value)
        else str(value)
    )


def _is_moment(value: object) -> bool:
    return isinstance(value, str) and value.endswith("+00:00")


def shown(workflow: str | None) -> Shown:
    """The gates of a workflow, or of all."""
    known = declared_workflows()
    names = [find_workflow(workflow, known).name] if workflow else sorted(known)
    lake = Lake()
    return Shown({name: read_gates(lake, name) for name in names}, utc_now())


def waive(table: str, check: str, *, edge: str | None, reason: str, until: str, by: str | None) -> Waiver:
    """Waive a check.

    Raises:
        DecisionError: see `gates.decisions`.
    """
    return waive_check(Lake(), _declared(), Asked(table, check, edge), by=by, reason=reason, until=until, now=utc_now())


def take_back(table: str, check: str, *, edge: str | None, reason: str, by: str | None) -> Waiver:
    """Take a waiver back.

    Raises:
        DecisionError: see `gates.decisions`.
    """
    return revoke_waiver(Lake(), _declared(), Asked(table, check, edge), by=by, reason=reason, now=utc_now())


def history(workflow: str | None) -> list[dict[str, Any]]:
    """What ever happened at the gates of a workflow, or of all, oldest first."""
    known = declared_workflows()
    names = [find_workflow(workflow, known).name] if workflow else sorted(known)
    lake = Lake()
    return sorted((event for name in names for event in trail(lake, name)), key=lambda event: str(event["at"]))


def as_line(event: Mapping[str, Any]) -> str:
    """One thing that happened."""
    who = f" by {event['actor']}: {event['reason']}" if event.get("actor") else ""
    limited = f" for {event['edge']}" if event.get("edge") else ""
    run = f" (run {event['run_id'][:8]})" if event.get("run_id") else ""
    return (
        f"{event['at'][:19].replace('T', ' ')}  {event['what']:<7} {event['asset']} {event['check']}{limited}{who}{run}"
    )


def _declared() -> DeclaredGates:
    from flowforge_assets.definitions import defs

    return DeclaredGates.of(defs.component_tree)
