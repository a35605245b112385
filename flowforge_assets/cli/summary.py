"""A run's report for the terminal: the books of every table, checks, quarantine, gold, where things are."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from flowforge_resources.run_reports import AssetReport, RunReport

COLUMNS = ("read", "inserted", "updated", "unchanged", "deduplicated", "late", "quarantined")
# So that the account fits a terminal of 80 columns.
_HYPHENATED = {"unchanged": "un-\nchanged", "deduplicated": "dedupli-\ncated", "quarantined": "quaran-\ntined"}


def render_run(report: RunReport, silent: Sequence[str] = (), url: str = "") -> RenderableType:
    """Everything `flowforge status` prints."""
    parts: list[RenderableType] = [_headline(report, silent, url), Padding(render_books(report), (1, 0, 0, 0))]
    if held := quarantine_reasons(report):
        parts.append(Padding(_reasons(held), (1, 0, 0, 0)))
    if gold := report.of_layer("gold"):
        parts.append(Padding(_gold(gold), (1, 0, 0, 0)))
    parts.extend(Text(f"! {note}", style="yellow") for asset in report.assets for note in asset.notes)
    if silent:
        parts.append(Text(f"! not reached by this run: {', '.join(silent)}", style="yellow"))
    return Group(*parts)


def _headline(report: RunReport, silent: Sequence[str], url: str) -> Text:
    blocked = [asset.asset for asset in report.assets if asset.blocked]
    outcome = f"blocked at {', '.join(blocked)}" if blocked else "did not finish" if silent else "done"
    text = Text.assemble(
        (report.workflow, "bold"),
        f"  run {report.run_id[:8]} of {report.started_at:%Y-%m-%d %H:%M:%S} UTC: ",
        (outcome, "bold red" if blocked else "bold green"),
    )
    return text.append(f"\n{changes(report)} Lake: {url}", style="dim")


def changes(report: RunReport) -> str:
    """How many tables this run published, in words."""
    changed = [asset.asset for asset in report.assets if asset.published and asset.layer != "bronze"]
    return f"{len(changed)} table(s) changed." if changed else "No table changed."


def render_books(report: RunReport) -> Table:
    """The account of every table that has one, and its checks."""
    table = _table("Rows", "table")
    for name in COLUMNS:
        table.add_column(_HYPHENATED.get(name, name), justify="right")
    table.add_column("rows in\nsilver", justify="right")
    table.add_column("checks", no_wrap=True)
    for asset in report.of_layer("silver"):
        cells = [_number(asset.books.get(name, 0)) for name in COLUMNS]
        table.add_row(asset.asset.removeprefix("silver_"), *cells, f"{asset.rows:,}", _checks(asset))
    return table


def _table(title: str, first: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column(first, no_wrap=True)
    return table


def _number(value: int) -> Text:
    return Text(f"{value:,}" if value else "·", style="" if value else "dim")


def _checks(asset: AssetReport) -> Text:
    """Passed, warned and failed checks as counts; nothing where the run had nothing to judge."""
    counts = Counter(check.status for check in asset.checks)
    text = Text()
    for status, mark, style in (("passed", "✓", "green"), ("warned", "!", "yellow"), ("failed", "✗", "red")):
        if counts[status]:
            text.append(f"{mark}{counts[status]} ", style=style)
    return text if asset.checks else Text("nothing new", style="dim")


def quarantine_reasons(report: RunReport) -> list[tuple[str, str, int]]:
    """(table, rule, rows) of everything this run put into quarantine, most first."""
    held = [
        (asset.asset.removeprefix("silver_"), check.name, check.rows_broken)
        for asset in report.of_layer("silver")
        for check in asset.checks
        if check.held and check.rows_broken
    ]
    return sorted(held, key=lambda one: (-one[2], one))


def _reasons(held: Sequence[tuple[str, str, int]]) -> Table:
    table = _table("Why rows went to quarantine", "table")
    table.add_column("rule broken")
    table.add_column("rows", justify="right")
    for name, rule, rows in held:
        table.add_row(name, rule, f"{rows:,}")
    return table


def _gold(assets: Sequence[AssetReport]) -> Table:
    table = _table("Gold", "table")
    table.add_column("rows", justify="right")
    table.add_column("checks")
    table.add_column("")
    for asset in assets:
        said = "blocked" if asset.blocked else "rebuilt" if asset.published else "unchanged"
        table.add_row(asset.asset, f"{asset.rows:,}", _checks(asset), Text(said, style="dim"))
    return table
