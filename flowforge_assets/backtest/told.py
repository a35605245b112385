"""What a back-test found, as data, as a table for the terminal, and in a sentence a rule."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import RenderableType

    from flowforge_checks.rules import Action

EXAMPLES = 5
_WOULD: Mapping[Action, str] = {
    "quarantine": "have held",
    "drop": "have left out",
    "keep": "have counted",
    "block": "have found",
}


@dataclass(frozen=True)
class Tried:
    """One rule over one run's batch, or over one version of the table.

    `newly`: rows that no other rule takes out. `status`: of the check, as `passed`, `warned`, `failed` or `blocked`.
    `said`: of a measure, in a sentence. `examples` hold no personal data.
    """

    rule: str
    action: Action
    rows: int
    broken: int
    newly: int
    status: str
    said: str | None = None
    examples: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Moment:
    """One run's batch (`run`: its id) or one version (`version`: its number) of the table, and what each rule found."""

    at: str
    rows: int
    tried: tuple[Tried, ...]
    run: str = ""
    version: int | None = None

    def row(self) -> dict[str, str | int]:
        """For a table: how many rows broke each rule, and the state of its check."""
        named: dict[str, str | int] = {"run": self.run[:8]} if self.version is None else {"version": self.version}
        found = {one.rule: f"{one.broken:,} {one.status}" for one in self.tried}
        return {**named, "at": self.at[:19].replace("T", " "), "rows": self.rows, **found}


@dataclass(frozen=True)
class BackTest:
    """What rules would have done over history; moments oldest first."""

    table: str
    rules: tuple[str, ...]
    demands: Mapping[str, str]
    runs: tuple[Moment, ...] = ()
    versions: tuple[Moment, ...] = ()
    notes: tuple[str, ...] = field(default=())

    def of(self, rule: str) -> list[Tried]:
        """What one rule found, oldest first."""
        return [one for moment in (*self.runs, *self.versions) for one in moment.tried if one.rule == rule]

    def sentences(self) -> list[str]:
        """One a rule: how much it would have held, and how often it would have stopped the table."""
        return [self._sentence(rule) for rule in self.rules]

    def _sentence(self, rule: str) -> str:
        found = self.of(rule)
        if not found:
            return f"{rule}: nothing to try it over."
        versions = any(one.rule == rule for moment in self.versions for one in moment.tried)
        over = f"{len(found)} {'version' if versions else 'run'}{'s' if len(found) > 1 else ''}"
        stopped = sum(one.status == "blocked" for one in found)
        stops = f" It would have stopped {stopped} of them from being published." if stopped else ""
        if any(one.said is not None for one in found):
            broken = sum(bool(one.broken) for one in found)
            return f"{rule} would not have held in {broken:,} of the last {over}.{stops}"
        rows, broken, newly = (sum(getattr(one, name) for one in found) for name in ("rows", "broken", "newly"))
        alone = f", {newly:,} of them not held so far" if newly != broken else ""
        return f"{rule} would {_WOULD[found[-1].action]} {broken:,} of {rows:,} rows in the last {over}{alone}.{stops}"

    def examples(self, rule: str) -> list[Mapping[str, Any]]:
        """A few of the newest rows that break a rule."""
        newest = [row for one in reversed(self.of(rule)) for row in one.examples]
        return newest[:EXAMPLES]

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        from dataclasses import asdict

        return {"sentences": self.sentences(), **asdict(self)}

    def render(self) -> RenderableType:
        """For the terminal: the sentences, a line a run and a version, and examples."""
        from rich.console import Group
        from rich.text import Text

        parts: list[RenderableType] = [Text(one) for one in [*self.sentences(), *self.notes]]
        parts += [table for table in (_lines("run", self.runs), _lines("version", self.versions)) if table]
        parts += [table for rule in self.rules if (table := _examples(rule, self.examples(rule)))]
        return Group(*parts)


def _lines(what: str, moments: Sequence[Moment]) -> RenderableType | None:
    from rich.table import Table

    if not moments:
        return None
    table = Table(title=f"By {what}, times in UTC", title_justify="left", box=None, padding=(0, 1, 0, 0))
    for name in moments[0].row():
        table.add_column(name, justify="left" if name in (what, "at") else "right", overflow="fold")
    for moment in moments:
        table.add_row(*(f"{cell:,}" if isinstance(cell, int) else cell for cell in moment.row().values()))
    return table


def _examples(rule: str, rows: Sequence[Mapping[str, Any]]) -> RenderableType | None:
    from rich.table import Table
    from rich.text import Text

    if not rows:
        return None
    table = Table(title=f"Rows that break {rule}", title_justify="left", box=None, padding=(0, 1, 0, 0))
    for name in rows[0]:
        table.add_column(str(name), overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if value is None else str(value)) for value in row.values()))
    return table
