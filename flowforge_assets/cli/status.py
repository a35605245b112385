"""The last run of a workflow, as a person and as a program wants to read it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from flowforge_assets.catalog import Declared, declared_workflows, find_workflow
from flowforge_assets.cli.summary import render_run
from flowforge_resources.errors import FlowForgeError
from flowforge_resources.lake import Lake
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

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {**asdict(self.report), "assets_without_report": list(self.silent), "lake": self.url}

    def render(self) -> RenderableType:
        """For the terminal."""
        return render_run(self.report, self.silent, self.url)


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
    return LastRun(report, _silent(declared, report), lake.url)


def _silent(declared: Declared, report: RunReport) -> tuple[str, ...]:
    """Assets of the workflow that this run did not reach (or did not include)."""
    layers = ("bronze", "silver")
    expected = [*(f"{layer}_{table}" for table in declared.tables for layer in layers)]
    expected += [*(f"silver_{table}" for table in declared.routed), *declared.models]
    said = {asset.asset for asset in report.assets}
    return tuple(name for name in expected if name not in said)
