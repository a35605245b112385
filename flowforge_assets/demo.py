"""`make demo`: two days of a small company's messy files, landed and run exactly as CI would, and what came of them.

Run as `python -m flowforge_assets.demo`. Everything it does a user can do with the commands it prints.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.padding import Padding
from rich.text import Text

from flowforge_assets.catalog import declared_workflows
from flowforge_assets.cli.land import land_files
from flowforge_assets.cli.query import run_query
from flowforge_assets.cli.summary import changes, render_body
from flowforge_resources.lake import Lake
from flowforge_resources.layout import run_reports
from flowforge_resources.run_reports import RunReport, read_last_report
from flowforge_resources.settings import project_root

if TYPE_CHECKING:
    from collections.abc import Sequence

WORKFLOW = "retail"
COMMAND = ("dagster", "job", "execute", "-m", "flowforge_assets.definitions", "-j", WORKFLOW)
QUESTION = "Which region brought the most revenue in January 2026, and how does that compare with the January before?"
ANSWER = """
SELECT region_name AS region,
       sum(revenue) FILTER (month = '2025-01')::DECIMAL(12, 2) AS "January 2025",
       sum(revenue) FILTER (month = '2026-01')::DECIMAL(12, 2) AS "January 2026"
FROM retail.agg_sales_by_month
WHERE month IN ('2025-01', '2026-01')
GROUP BY region
ORDER BY 3 DESC NULLS LAST
"""
_POLL_S = 0.2


class DemoFailedError(Exception):
    """A run of the demo failed; its output has been printed."""


def main() -> None:
    """Land and run both days, then show the result."""
    console = Console()
    os.environ.pop("FLOWFORGE_WORKFLOWS", None)  # the demo is of the sample's
    try:
        _play(console, Lake())
    except DemoFailedError as error:
        console.print(f"[bold red]{error}[/]")
        sys.exit(1)


def _play(console: Console, lake: Lake) -> None:
    started = monotonic()
    console.rule("[bold]FlowForge demo: messy files in landing become queryable gold tables")
    reports = [_day(console, lake, day) for day in ("day1", "day2")]
    console.rule("[bold]what came of it")
    if any(asset.published and asset.layer != "bronze" for report in reports for asset in report.assets):
        console.print(Group(*render_body(list(zip(("Day 1", "Day 2"), reports, strict=True)))))
    else:
        console.print(
            "\n[bold green]No table changed.[/] Every file was taken by an earlier demo, and a file is taken once."
        )
        console.print("`flowforge status` shows the tables; `make clean && make demo` starts from nothing.\n")
    _answer(console, lake)
    _next_steps(console, lake, monotonic() - started)


def _day(console: Console, lake: Lake, day: str) -> RunReport:
    landed = _land(day)
    new = sum(one for one in landed.values())
    console.print(
        f"\n[bold]{day}[/]: {new} new file(s) landed for {len(landed)} tables"
        if new
        else f"\n[bold]{day}[/]: nothing new to land"
    )
    console.print(f"  $ {' '.join(COMMAND)}", style="dim")
    report = _run(console, lake)
    console.print(f"  {changes(report)}")
    return report


def _land(day: str) -> dict[str, int]:
    """Upload a day's files, in the order of their names; new files by table."""
    folders = sorted((project_root() / "sample-data" / day).iterdir())
    return {
        folder.name: sum(
            one.uploaded for one in land_files(sorted(folder.iterdir()), workflow=WORKFLOW, table=folder.name)
        )
        for folder in folders
    }


def _run(console: Console, lake: Lake) -> RunReport:
    """Run the workflow in a process of its own, showing which tables are done."""
    before = set(lake.folders(run_reports(WORKFLOW)))
    log_file = Path(os.environ.get("DAGSTER_HOME", project_root() / ".flowforge")) / "demo.log"
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603  # our own command, without a word of anyone else's
            _command(), stdout=log, stderr=subprocess.STDOUT, cwd=project_root()
        )
        _show_progress(console, lake, process, before)
    report = read_last_report(lake, WORKFLOW)
    if process.returncode or report is None:
        console.print(log_file.read_text(errors="replace")[-3000:], markup=False, highlight=False)
        raise DemoFailedError(f"The run failed; its whole output is in {log_file}.")
    return report


def _command() -> Sequence[str]:
    return [str(Path(sys.executable).parent / COMMAND[0]), *COMMAND[1:]]


def _show_progress(console: Console, lake: Lake, process: subprocess.Popen[bytes], before: set[str]) -> None:
    declared = declared_workflows()[WORKFLOW]
    total = 2 * len(declared.tables) + len(declared.routed) + len(declared.models)
    with console.status("  starting Dagster") as status:
        while True:
            try:
                process.wait(timeout=_POLL_S)
            except subprocess.TimeoutExpired:
                done = _done(lake, before)
                status.update(f"  {len(done)} of {total} tables: {done[-1]}" if done else "  starting Dagster")
            else:
                return


def _done(lake: Lake, before: set[str]) -> list[str]:
    """Assets of the run under way that have reported, in the order they did."""
    new = sorted(set(lake.folders(run_reports(WORKFLOW))) - before)
    found = sorted(lake.objects(f"{run_reports(WORKFLOW)}{new[-1]}/"), key=lambda one: one.last_modified) if new else []
    return [one.key.rsplit("/", 1)[-1].removesuffix(".json") for one in found]


def _answer(console: Console, lake: Lake) -> None:
    console.print(Padding(Text(QUESTION, style="bold"), (1, 0, 0, 0)))
    console.print(run_query(ANSWER, lake).to_table(limit=20, width=console.width))


def _next_steps(console: Console, lake: Lake, seconds: float) -> None:
    console.print(
        f"\n[bold]Where things are[/]  {lake.url}/ (landing, bronze, silver, quarantine, gold: plain Parquet)"
    )
    console.print(f"[bold]Took[/]  {seconds:.1f} s. [bold]Try next:[/]")
    tries = (
        ("make dev", "the web UI on this lake: http://localhost:3000"),
        ('.venv/bin/flowforge query "FROM retail.fact_sales LIMIT 5"', "SQL over silver and gold"),
        ('.venv/bin/flowforge query "SELECT _reasons, * FROM retail_quarantine.orders"', "held rows and why"),
    )
    for command, what in tries:
        console.print(Text.assemble(("  $ ", "dim"), (command, "cyan"), (f"   {what}", "dim")), soft_wrap=True)


if __name__ == "__main__":
    main()
