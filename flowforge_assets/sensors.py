"""What starts runs: new files in landing, and tables whose inputs changed.

What is new is what the ledgers on the lake do not know, so nothing is forgotten when Dagster's storage is lost, and
nothing is requested twice: the request is named by the very set of new objects. The landing sensor's cursor only says
where the next tick goes on (see `landing_tick`).
"""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import dagster as dg

from flowforge_assets.bronze.discovery import FIRST_PAUSE
from flowforge_assets.bronze.landing_tick import Cursor, Found, Heard, acknowledge, go_round, listen, sort_out_tables
from flowforge_assets.bronze.named_files import named_by_sensor
from flowforge_resources.errors import QueueError
from flowforge_resources.frames import as_frame
from flowforge_resources.layout import landing_prefix, utc_now
from flowforge_resources.notifications import NotificationQueue

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

    from flowforge_assets.table_spec import TableSpec
    from flowforge_resources.lake import Lake
    from flowforge_resources.notifications import Notifications

FILES_TAG = "flowforge/new_files"
WORKFLOW_TAG = "flowforge/landing"
_LONGEST_PAUSE = timedelta(minutes=10)
# A run whose process died is never said to have ended; one that is slow meets another, which is safe, only wasteful.
_ABANDONED_AFTER = timedelta(hours=1)
_RUNS_REMEMBERED = 10


def build_landing_sensor(
    workflow: str,
    tables: Sequence[TableSpec],
    job: UnresolvedAssetJobDefinition,
    *,
    interval_s: int,
    max_attempts: int,
    max_keys_per_tick: int,
    notifications: Notifications | None = None,
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
        now = utc_now()
        if busy := _why_wait(context, workflow, now):
            return dg.SkipReason(busy)  # the cursor stays: what this tick would have found is found by the next
        cursor = Cursor.parse(context.cursor)
        queue, heard = _hear(context, lake, workflow, notifications)
        listed, whole = [as_frame(heard.objects)], False
        if queue is None or cursor.is_due(now, timedelta(seconds=queue.settings.listing_every_s)):
            began = cursor.after is None
            more, cursor = go_round(lake, workflow, cursor, max_keys=max_keys_per_tick, now=now)
            listed, whole = [*listed, *more], began and cursor.after is None
        found = sort_out_tables(lake, workflow, tables, listed, now)
        if queue is not None:
            acknowledge(lake, workflow, queue, heard, found)
        for key in found.strangers:
            context.log.warning("%s belongs to no table of %s and was left alone.", key, workflow)
        request = _request(context, workflow, found, max_attempts, named_by_sensor(found, tables, whole=whole))
        if isinstance(request, str):
            return dg.SensorResult(skip_reason=request, cursor=str(cursor))
        return dg.SensorResult(run_requests=[request], cursor=str(cursor))

    return landing


def _hear(
    context: dg.SensorEvaluationContext, lake: Lake, workflow: str, settings: Notifications | None
) -> tuple[NotificationQueue | None, Heard]:
    """What the queue says; without a queue, or with one that does not answer, landing is listed instead."""
    if settings is None:
        return None, Heard()
    queue = NotificationQueue(settings)
    try:
        heard = listen(lake, workflow, queue)
    except QueueError as error:
        context.log.warning("%s", error)
        return None, Heard()
    for message in heard.poison:
        context.log.warning("Message %s is no S3 event; received %d time(s).", message.id, message.receives)
    return queue, heard


def _why_wait(context: dg.SensorEvaluationContext, workflow: str, now: datetime) -> str | None:
    """A reason to look at nothing: a run of this sensor is at work, or the last ones failed a moment ago."""
    tags = {WORKFLOW_TAG: workflow}
    runs = context.instance.get_run_records(dg.RunsFilter(tags=tags), limit=_RUNS_REMEMBERED)
    if any(not run.dagster_run.is_finished and now - run.create_timestamp < _ABANDONED_AFTER for run in runs):
        return "A run for new files is under way."
    failed = list(takewhile(lambda run: run.dagster_run.is_finished and not run.dagster_run.is_success, runs))
    if not failed:
        return None
    pause = min(FIRST_PAUSE * 2 ** (len(failed) - 1), _LONGEST_PAUSE)
    wait = failed[0].create_timestamp + pause - now
    seconds = round(wait.total_seconds())
    return f"The last {len(failed)} run(s) failed; looking again in {seconds} s." if wait > timedelta(0) else None


def _nothing(workflow: str, found: Found) -> str:
    said = [f"No new file among {found.keys:,} under {landing_prefix(workflow)}."]
    said += [f"{found.young} file(s) are too young or still being written."] if found.young else []
    kinds = (
        (found.strangers, "belong to no table"),
        (found.failed, "could not be read and will be tried again"),
        (found.set_aside, "are set aside after they failed"),
    )
    for names, what in kinds:
        said += [f"{len(names)} file(s) {what}: {', '.join(names[:5])}."] if names else []
    return " ".join(said)


def _request(
    context: dg.SensorEvaluationContext, workflow: str, found: Found, max_attempts: int, named: dict[str, str]
) -> dg.RunRequest | str:
    """A run for what was found, or why there is none."""
    if not found.new:
        return _nothing(workflow, found)
    files = sorted(f"{one.key} {one.etag} {one.uploaded_s}" for objects in found.new.values() for one in objects)
    digest = sha256("\n".join(files).encode()).hexdigest()[:16]
    runs = context.instance.get_run_records(dg.RunsFilter(tags={FILES_TAG: digest}))
    if len(runs) >= max_attempts:
        return f"{len(runs)} runs for these files did not take them; see their errors. Landing them anew asks again."
    keys = [dg.AssetKey(spec_key) for spec_key in ((workflow, f"bronze_{name}") for name in sorted(found.new))]
    return dg.RunRequest(
        run_key=f"{digest}-{len(runs) + 1}",
        asset_selection=with_downstream(context, keys),
        tags={FILES_TAG: digest, WORKFLOW_TAG: workflow, "flowforge/files": str(found.files), **named},
    )


def with_downstream(context: dg.SensorEvaluationContext, keys: Sequence[dg.AssetKey]) -> list[dg.AssetKey]:
    """Some tables of a workflow, and everything made from them in it."""
    if context.repository_def is None:
        return list(keys)
    graph = context.repository_def.asset_graph
    workflow = keys[0].path[0]
    reached = dg.AssetSelection.assets(*keys).downstream().resolve(graph)
    return sorted(key for key in reached if key.path[0] == workflow)


def build_automation_sensor(
    workflow: str, *, interval_s: int, status: dg.DefaultSensorStatus
) -> dg.AutomationConditionSensorDefinition:
    """The sensor that evaluates the automation conditions of a workflow's tables."""
    selection: Any = dg.AssetSelection.groups(workflow)
    return dg.AutomationConditionSensorDefinition(
        f"{workflow}_automation",
        target=selection,
        minimum_interval_seconds=interval_s,
        default_status=status,
        description="Rebuilds tables with `automation: eager` when what they read changed.",
    )
