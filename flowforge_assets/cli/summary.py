"""A run's report for the terminal: the books of every table, checks, quarantine, gold, where things are."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from flowforge_checks.books import ACCOUNT, GROWTH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from flowforge_resources.run_reports import AssetReport, RunReport

COLUMNS = ("read", "inserted", "updated", "unchanged", "deduplicated", "late", "quarantined")
# Shown where some table has any: whatever else the account has.
SELDOM = tuple(name for name in dict.fromkeys(("released", "exploded", *ACCOUNT, *GROWTH)) if name not in COLUMNS)
# So that the account fits a terminal of 80 columns.
HYPHENATED = {
    "inserted": "in-\nserted",
    "updated": "up-\ndated",
    "unchanged": "un-\nchanged",
    "deduplicated": "dedupli-\ncated",
    "quarantined": "quaran-\ntined",
    "truncates": "trun-\ncates",
    "rows_split": "split",
    "rows_removed": "re-\nmoved",
    "rows_before": "rows\nbefore",
    "rows_after": "rows\nafter",
    "balances": "bal-\nances",
}


def render_run(report: RunReport, silent: Sequence[str] = (), url: str = "") -> RenderableType:
    """Everything `flowforge status` prints."""
    return Group(_headline(report, silent, url), *render_body([("rows", report)], silent))


def render_body(runs: Sequence[tuple[str, RunReport]], silent: Sequence[str] = ()) -> list[RenderableType]:
    """Books of each run under its title, why rows were held in each, and gold as the last one left it."""
    reports = [report for _, report in runs]
    parts: list[RenderableType] = [render_books(title, report) for title, report in runs if report.of_layer("silver")]
    parts += [_reasons(runs)] if any(quarantine_reasons(report) for report in reports) else []
    parts += [_gold(gold)] if (gold := reports[-1].of_layer("gold")) else []
    notes = [note for report in reports for asset in report.assets for note in asset.notes]
    notes += [f"{asset.asset} failed: {asset.failed}" for report in reports for asset in report.failed]
    notes += [f"not reached by this run: {', '.join(silent)}"] if silent else []
    return [*(Padding(part, (1, 0, 0, 0)) for part in parts), *(Text(f"! {note}", style="yellow") for note in notes)]


def _headline(report: RunReport, silent: Sequence[str], url: str) -> Text:
    failed = [asset.asset for asset in report.failed]
    blocked = [asset.asset for asset in report.assets if asset.blocked]
    kinds = ((failed, f"failed at {', '.join(failed)}"), (blocked, f"blocked at {', '.join(blocked)}"))
    outcome = "; ".join(said for names, said in kinds if names) or ("did not finish" if silent else "done")
    text = Text.assemble(
        (report.workflow, "bold"),
        f"  run {report.run_id[:8]} of {report.started_at:%Y-%m-%d %H:%M:%S} UTC: ",
        (outcome, "bold red" if failed or blocked else "bold green"),
    )
    return text.append(f"\n{changes(report)} Lake: {url}", style="dim")


def changes(report: RunReport) -> str:
    """How many tables this run published, in words."""
    changed = [asset.asset for asset in report.assets if asset.published and asset.layer in ("silver", "gold")]
    return f"{len(changed)} table(s) changed." if changed else "No table changed."


def render_books(title: str, report: RunReport) -> Table:
    """The account of every table that has one, and its checks."""
    table = _table(title, "table")
    silver = report.of_layer("silver")
    columns = [*COLUMNS, *(name for name in SELDOM if any(asset.books.get(name) for asset in silver))]
    for name in columns:
        table.add_column(HYPHENATED.get(name, name), justify="right")
    table.add_column("rows in\nsilver", justify="right")
    table.add_column("checks", no_wrap=True)
    for asset in silver:
        cells = [_number(asset.books.get(name, 0)) for name in columns]
        table.add_row(asset.asset.removeprefix("silver_"), *cells, f"{asset.rows:,}", _checks(asset))
    return table


def _table(title: str, first: str) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="dim underline",
        box=None,
        padding=(0, 1, 0, 0),
    )
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
    return text if asset.checks else Text("·", style="dim")


def quarantine_reasons(report: RunReport) -> list[tuple[str, str, int]]:
    """(table, rule, rows) of everything this run put into quarantine, most first."""
    held = [
        (asset.asset.removeprefix("silver_"), check.name, check.rows_broken)
        for asset in report.of_layer("silver")
        for check in asset.checks
        if check.held and check.rows_broken
    ]
    return sorted(held, key=lambda one: (-one[2], one))


def _reasons(runs: Sequence[tuple[str, RunReport]]) -> Table:
    """Rules by rows held, a column a run. A row that breaks two rules is counted under both."""
    held = [{(table, rule): rows for table, rule, rows in quarantine_reasons(report)} for _, report in runs]
    keys = sorted({key for run in held for key in run}, key=lambda key: (-sum(run.get(key, 0) for run in held), key))
    table = _table("Why rows went to quarantine", "table")
    table.add_column("rule broken")
    for title, _ in runs:
        table.add_column(title, justify="right")
    for key in keys:
        table.add_row(*key, *(_number(run.get(key, 0)) for run in held))
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
