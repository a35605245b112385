"""What starts runs: new files in landing, and tables whose inputs changed.

The landing sensor keeps no cursor. What is new is what the ledgers on the lake do not know, so nothing is forgotten
when Dagster's storage is lost, and nothing is requested twice: the request is named by the very set of new objects.
"""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import dagster as dg

from flowforge_assets.discovery import look
from flowforge_resources.layout import landing_prefix, utc_now
from flowforge_resources.ledger import read_ledger

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

    from flowforge_assets.table_spec import TableSpec
    from flowforge_resources.lake import Lake, StoredObject

FILES_TAG = "flowforge/new_files"
_FIRST_PAUSE_S = 30


def build_landing_sensor(
    workflow: str,
    tables: Sequence[TableSpec],
    job: UnresolvedAssetJobDefinition,
    *,
    interval_s: int,
    max_attempts: int,
    status: dg.DefaultSensorStatus,
) -> dg.SensorDefinition:
    """The sensor `<workflow>_landing`: one run for all new files, of the tables they belong to and what hangs on those."""

    @dg.sensor(
        name=f"{workflow}_landing",
        job=job,
        minimum_interval_seconds=interval_s,
        default_status=status,
        description=f"Looks for new files under {landing_prefix(workflow)} and requests one run for all it found.",
        required_resource_keys={"lake"},
    )
    def landing(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        lake: Lake = context.resources.lake.open()
        new, strangers = find_new(lake, workflow, tables)
        for key in strangers:
            context.log.warning("%s belongs to no table of %s and was left alone.", key, workflow)
        if not new:
            return dg.SkipReason(_nothing(workflow, strangers))
        return _request(context, workflow, new, max_attempts)

    return landing


def find_new(lake: Lake, workflow: str, tables: Sequence[TableSpec]) -> tuple[dict[str, list[StoredObject]], list[str]]:
    """The objects in landing that no ledger holds, by table, and the keys that belong to no table."""
    new: dict[str, list[StoredObject]] = {}
    strangers = []
    for spec in tables:
        landed = look(lake, spec, read_ledger(lake, spec.id), utc_now())
        new |= {spec.id.name: found} if (found := [one.object for one in landed.new if one.is_due(utc_now())]) else {}
        strangers += landed.strangers
    return new, sorted(strangers)


def _nothing(workflow: str, strangers: Sequence[str]) -> str:
    left = f" {len(strangers)} file(s) belong to no table: {', '.join(strangers[:5])}." if strangers else ""
    return f"No new file under {landing_prefix(workflow)}.{left}"


def _request(
    context: dg.SensorEvaluationContext, workflow: str, new: dict[str, list[StoredObject]], max_attempts: int
) -> dg.SensorResult | dg.SkipReason:
    files = sorted(f"{found.key} {found.etag}" for objects in new.values() for found in objects)
    digest = sha256("\n".join(files).encode()).hexdigest()[:16]
    runs = context.instance.get_run_records(dg.RunsFilter(tags={FILES_TAG: digest}))
    if any(not run.dagster_run.is_finished for run in runs):
        return dg.SkipReason("A run for these files is under way.")
    if len(runs) >= max_attempts:
        return dg.SkipReason(
            f"{len(runs)} runs for these files did not take them; see their errors. Landing them anew asks again."
        )
    if (wait := _pause([run.create_timestamp for run in runs])) > timedelta(0):
        return dg.SkipReason(f"The last run did not take these files; asking again in {wait.seconds} s.")
    keys = [dg.AssetKey(spec_key) for spec_key in ((workflow, f"bronze_{name}") for name in sorted(new))]
    request = dg.RunRequest(
        run_key=f"{digest}-{len(runs) + 1}",
        asset_selection=_with_downstream(context, keys),
        tags={FILES_TAG: digest, "flowforge/files": str(len(files))},
    )
    return dg.SensorResult(run_requests=[request])


def _pause(earlier: Sequence[datetime]) -> timedelta:
    """How long to wait after failed runs: 30 s, then twice as long each time."""
    if not earlier:
        return timedelta(0)
    return max(earlier) + timedelta(seconds=_FIRST_PAUSE_S * 2 ** (len(earlier) - 1)) - utc_now()


def _with_downstream(context: dg.SensorEvaluationContext, keys: Sequence[dg.AssetKey]) -> list[dg.AssetKey]:
    """The tables with new files, and everything made from them in the same workflow."""
    if context.repository_def is None:
        return list(keys)
    graph = context.repository_def.asset_graph
    workflow = keys[0].path[0]
    reached = dg.AssetSelection.assets(*keys).downstream().resolve(graph)
    return sorted(key for key in reached if key.path[0] == workflow)


def build_automation_sensor(workflow: str, status: dg.DefaultSensorStatus) -> dg.AutomationConditionSensorDefinition:
    """The sensor that evaluates the automation conditions of a workflow's tables."""
    selection: Any = dg.AssetSelection.groups(workflow)
    return dg.AutomationConditionSensorDefinition(
        f"{workflow}_automation",
        target=selection,
        default_status=status,
        description="Rebuilds tables with `automation: eager` when what they read changed and passed its blocking checks.",
    )
