"""What each asset reports of each run, kept on the lake: `flowforge status` works after the Dagster instance is lost."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flowforge_resources.layout import run_report, run_reports

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowforge_resources.lake import Lake


@dataclass(frozen=True)
class CheckReport:
    """One check's outcome. `status`: `passed`, `warned` or `failed`; `held` where broken rows went to quarantine."""

    name: str
    status: str
    rows_broken: int = 0
    held: bool = False


@dataclass(frozen=True)
class AssetReport:
    """One asset in one run. `published` is false where the run changed nothing or a check blocked it.

    `accounts`: of each landed file, rows `read` and where they went.
    `released_from`: rows this run let out of quarantine, by the run that had held them.
    `selected`: the assets the run was asked for, by name; none where it was the whole workflow.
    `failed`: the error that ended its step for good.
    """

    asset: str
    layer: str
    uri: str
    published: bool
    blocked: bool = False
    rows: int = 0
    seconds: float = 0.0
    books: Mapping[str, int] = field(default_factory=dict)
    checks: tuple[CheckReport, ...] = ()
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    accounts: tuple[Mapping[str, Any], ...] = ()
    released_from: Mapping[str, int] = field(default_factory=dict)
    selected: tuple[str, ...] = ()
    failed: str = ""


@dataclass(frozen=True)
class RunReport:
    """All assets of one run, in the order they reported; those whose steps failed apart."""

    workflow: str
    run_id: str
    started_at: datetime
    assets: tuple[AssetReport, ...]
    failed: tuple[AssetReport, ...] = ()

    def was_asked_for(self, asset: str) -> bool:
        """Whether an asset was among those that the run was started for."""
        return all(not one.selected or asset in one.selected for one in (*self.assets, *self.failed))

    def of_layer(self, layer: str) -> list[AssetReport]:
        """The reports of one layer."""
        return [asset for asset in self.assets if asset.layer == layer]


def write_report(lake: Lake, workflow: str, run_id: str, started_at: datetime, report: AssetReport) -> None:
    """Record what one asset has to say; a retried step replaces its own report."""
    key = run_report(workflow, started_at, run_id, report.asset)
    lake.write(key, json.dumps(asdict(report), indent=1).encode())


def read_last_report(lake: Lake, workflow: str) -> RunReport | None:
    """The newest run of a workflow that reported anything, or None."""
    runs = lake.folders(run_reports(workflow))
    return read_report(lake, workflow, runs[-1]) if runs else None


def find_reports(lake: Lake, workflow: str, run_id: str) -> list[str]:
    """The folder of a run, given its id or the first letters of it, and those of all later runs; none where it is unknown."""
    runs = lake.folders(run_reports(workflow))
    found = [place for place, run in enumerate(runs) if run.rsplit("_", 1)[-1].startswith(run_id)]
    return runs[found[-1] :] if found else []


def read_report(lake: Lake, workflow: str, folder: str) -> RunReport:
    """One run, by the name of its folder."""
    stored = sorted(lake.objects(f"{run_reports(workflow)}{folder}/"), key=lambda found: found.last_modified)
    contents = [content for found in stored if (content := lake.read(found.key))]
    moment, run_id = folder.rsplit("_", 1)
    started_at = datetime.strptime(f"{moment} +0000", "%Y%m%d_%H%M%S_%f %z")
    reports = [_parse(json.loads(content)) for content in contents]
    said, failed = (tuple(one for one in reports if bool(one.failed) == wanted) for wanted in (False, True))
    return RunReport(workflow, run_id, started_at, said, failed)


def _parse(raw: dict[str, Any]) -> AssetReport:
    checks = tuple(CheckReport(**check) for check in raw.pop("checks"))
    return AssetReport(
        **{
            **raw,
            "checks": checks,
            "files": tuple(raw["files"]),
            "notes": tuple(raw["notes"]),
            "accounts": tuple(raw.get("accounts", ())),
            "selected": tuple(raw.get("selected", ())),
        }
    )
