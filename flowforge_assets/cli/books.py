"""The books of a workflow for `flowforge books`: by table over all runs, by run, by landed file; from the reports on the lake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowforge_assets.catalog import declared_workflows, find_table, find_workflow
from flowforge_assets.cli.summary import HYPHENATED
from flowforge_checks.books import ACCOUNT, Books, total
from flowforge_checks.books_by import OF_FILE
from flowforge_resources.lake import Lake
from flowforge_resources.layout import run_reports
from flowforge_resources.run_reports import read_report
from flowforge_resources.side_by_side import side_by_side

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import JustifyMethod, RenderableType

    from flowforge_assets.catalog import Declared
    from flowforge_resources.run_reports import AssetReport, RunReport


@dataclass(frozen=True)
class BooksShown:
    """Rows of an account, each named in its first column, and what they are."""

    title: str
    rows: Sequence[dict[str, Any]]

    def as_dicts(self) -> list[dict[str, Any]]:
        """For `--json`."""
        return list(self.rows)

    def render(self) -> RenderableType:
        """For the terminal; columns that are zero everywhere are left out."""
        from rich.table import Table

        used = [name for name in (self.rows[0] if self.rows else {}) if any(row[name] for row in self.rows)]
        table = Table(title=self.title, title_justify="left", box=None, padding=(0, 1, 0, 0))
        for name in used:
            justify: JustifyMethod = "right" if isinstance(self.rows[0][name], int) else "left"
            width = 10 if name == "at" else None
            table.add_column(
                HYPHENATED.get(name, name), justify=justify, overflow="fold", min_width=width, no_wrap=name == "table"
            )
        for row in self.rows:
            table.add_row(*(_cell(name, row[name]) for name in used))
        return table


def _cell(name: str, value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return str(value).replace(" ", "\n") if name == "at" else str(value)


def books(
    table: str | None,
    workflow: str | None,
    *,
    run: str | None = None,
    file: str | None = None,
    known: dict[str, Declared] | None = None,
) -> BooksShown:
    """The books of all tables over all runs; of one table, run by run; or by landed file.

    Args:
        table: only this one, and its runs one by one.
        workflow: needed where there are several.
        run: only the run whose id begins so.
        file: accounts of landed files whose key contains this.
        known: what is declared; None to look.

    Raises:
        UnknownNameError: no such table or workflow.
    """
    declared = known if known is not None else declared_workflows()
    of_table = find_table(table, workflow, declared) if table else None
    name = of_table.workflow if of_table else find_workflow(workflow, declared).name
    told = [
        (report, asset)
        for report in _reports(name, run)
        for asset in report.of_layer("silver")
        if asset.books and (of_table is None or asset.asset == of_table.silver_key[-1])
    ]
    if file is not None:
        return BooksShown(f"{name}: landed files like '{file}'", list(_by_file(told, file)))
    if of_table is not None:
        return BooksShown(f"{of_table}, run by run, times in UTC", [_of_run(*one) for one in told])
    tables = dict.fromkeys(asset.asset for _, asset in told)
    over = "the run" if run else "all runs"
    return BooksShown(f"{name}, over {over}", [_of_table(one, told) for one in tables])


def _reports(workflow: str, run: str | None) -> list[RunReport]:
    """The reports of the runs in question, oldest first."""
    lake = Lake()
    wanted = [
        one for one in lake.folders(run_reports(workflow)) if run is None or one.rsplit("_", 1)[1].startswith(run)
    ]
    return side_by_side(lambda one: read_report(lake, workflow, one), wanted)


def _of_run(report: RunReport, asset: AssetReport) -> dict[str, Any]:
    account = Books.of(asset.books)
    named = {"run": report.run_id[:8], "at": f"{report.started_at:%Y-%m-%d %H:%M:%S}"}
    return {**named, **_columns(account.as_dict()), "balances": _verdict(asset, account)}


def _of_table(name: str, told: Sequence[tuple[RunReport, AssetReport]]) -> dict[str, Any]:
    """The sum of what was published: a batch that was blocked comes again, and is counted then."""
    accounts = [(asset, Books.of(asset.books)) for _, asset in told if asset.asset == name]
    published = [account for asset, account in accounts if not asset.blocked]
    summed = _columns(total(published))
    summed["rows_before"], summed["rows_after"] = 0, published[-1].rows_after if published else 0
    odd = [account for account in published if not account.balances]
    return {"table": name.removeprefix("silver_"), "runs": len(published), **summed, "balances": "NO" if odd else "yes"}


def _columns(account: dict[str, int]) -> dict[str, int]:
    names = ("read", "exploded", *ACCOUNT, "rows_split", "rows_removed", "rows_before", "rows_after")
    return {name: account[name] for name in names}


def _verdict(asset: AssetReport, account: Books) -> str:
    return "blocked" if asset.blocked else "yes" if account.balances else "NO"


def _by_file(told: Sequence[tuple[RunReport, AssetReport]], file: str) -> Iterator[dict[str, Any]]:
    for report, asset in told:
        for one in asset.accounts:
            if file in str(one["file"]):
                yield {
                    "file": one["file"],
                    "run": report.run_id[:8],
                    "table": asset.asset.removeprefix("silver_"),
                    # A column that a report does not have was zero for all files of the run.
                    **{name: one.get(name, 0) for name in OF_FILE},
                    "published": "blocked" if asset.blocked else "yes",
                }
