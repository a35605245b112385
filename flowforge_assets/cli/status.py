"""The last run of a workflow, as a person and as a program wants to read it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from flowforge_assets.catalog import Declared, declared_workflows, find_workflow
from flowforge_assets.cli.summary import render_run
from flowforge_assets.quarantine.books import NoSuchRunError, held_by
from flowforge_resources.errors import FlowForgeError
from flowforge_resources.history import ROLLED_BACK, moment_of, what_happened
from flowforge_resources.io_managers import published_silver
from flowforge_resources.lake import Lake
from flowforge_resources.layout import TableId
from flowforge_resources.left_out import left_out_of
from flowforge_resources.run_reports import RunReport, read_last_report

if TYPE_CHECKING:
    from rich.console import RenderableType


class NoRunError(FlowForgeError):
    """The workflow never ran on this lake."""

    def __init__(self, workflow: str, url: str) -> None:
        super().__init__(
            f"{workflow} never ran on {url}. Land files and run it: dagster job execute -m flowforge_assets.definitions -j {workflow}"
        )


@dataclass(frozen=True)
class LastRun:
    """What the last run reported, and what it should have."""

    report: RunReport
    silent: tuple[str, ...]
    url: str
    rollbacks: tuple[str, ...] = ()
    decided: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            **asdict(self.report),
            "assets_without_report": list(self.silent),
            "rollbacks": list(self.rollbacks),
            "quarantine": list(self.decided),
            "lake": self.url,
        }

    def render(self) -> RenderableType:
        """For the terminal."""
        from rich.console import Group
        from rich.text import Text

        said = [Text(f"! {one}", style="yellow") for one in self.rollbacks]
        said += [Text(f"  {one}") for one in self.decided]
        return Group(render_run(self.report, self.silent, self.url), *said)


def last_run(workflow: str | None) -> LastRun:
    """Read the newest report of a workflow from the lake.

    Raises:
        UnknownNameError: no such workflow.
        NoRunError: it never ran here.
    """
    declared = find_workflow(workflow, declared_workflows())
    lake = Lake()
    report = read_last_report(lake, declared.name)
    if report is None:
        raise NoRunError(declared.name, lake.url)
    return LastRun(
        report, _silent(declared, report), lake.url, _rollbacks(lake, declared), _decided(lake, declared, report)
    )


def _decided(lake: Lake, declared: Declared, report: RunReport) -> tuple[str, ...]:
    """What became of quarantined rows: of this run, and of each run whose rows it released."""
    runs = dict.fromkeys([report.run_id, *(run for asset in report.of_layer("silver") for run in asset.released_from)])
    said = []
    for run in runs:
        try:
            found = held_by(lake, declared.name, run)
        except NoSuchRunError:  # its reports were let go of
            continue
        said += [f"run {run[:8]}, {one}" for one in found if one.released or one.discarded]
    return tuple(said)


def _rollbacks(lake: Lake, declared: Declared) -> tuple[str, ...]:
    """Of every table that a person rolled back: what its published version is, and which bronze it leaves out."""
    said = []
    for name in (*declared.tables, *declared.routed):
        published = published_silver(lake, TableId(declared.name, name))
        if published is None:
            continue
        left = ", ".join(
            f"{first} to {last}" if first < last else f"{first}" for first, last in left_out_of(published.facts)
        )
        if published.facts.get("cause") == ROLLED_BACK:
            moment = f"{moment_of(published):%Y-%m-%d %H:%M:%S} UTC"
            said.append(
                f"silver_{name} was {what_happened(published)}, at {moment}"
                + (f"; it leaves out bronze {left}" if left else "")
            )
        elif left:
            said.append(
                f"silver_{name} leaves out bronze {left}, since it was rolled back; `flowforge history {name}` says when"
            )
    return tuple(said)


def _silent(declared: Declared, report: RunReport) -> tuple[str, ...]:
    """Assets of the workflow that this run was asked for and did not reach."""
    layers = ("bronze", "silver")
    expected = [*(f"{layer}_{table}" for table in declared.tables for layer in layers)]
    expected += [*(f"silver_{table}" for table in declared.routed), *declared.models]
    said = {asset.asset for asset in (*report.assets, *report.failed)}
    return tuple(name for name in expected if name not in said and report.was_asked_for(name))
