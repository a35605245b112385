"""One asset job a workflow, its schedule, and the executor that makes small workflows quick."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

    AnyJob = dg.JobDefinition | UnresolvedAssetJobDefinition


_MIXED = 2


def _in_process_unless_asked(asked: Mapping[str, Any]) -> dict[str, Any]:
    return dict(asked) or {"in_process": {}}


# Dagster's default executor starts a process for every step: 59 s instead of 4 for seven small tables.
quick_executor = dg.multi_or_in_process_executor.configured(
    _in_process_unless_asked,
    name="in_process_unless_asked",
    config_schema=dg.Field(
        dg.Permissive(),  # type: ignore[no-untyped-call]  # Dagster's own is not annotated
        is_required=False,
        default_value={},
        description="Empty for one process; `multiprocess: {max_concurrent: 2}` runs steps side by side.",
    ),
)


def build_job(
    workflow: str,
    description: str | None,
    executor: str,
    max_concurrent: int,
    *,
    partitionings: int = 0,
    without: Sequence[dg.AssetCheckKey] = (),
) -> UnresolvedAssetJobDefinition:
    """The job that materializes every table of a workflow with its checks; named like the workflow.

    `partitionings`: how many different ways its tables are partitioned. `without`: checks that are no part of it.
    """
    from flowforge_assets.partitioned_runs import MixedPartitionsJob

    side_by_side = {"execution": {"config": {"multiprocess": {"max_concurrent": max_concurrent}}}}
    define = dg.define_asset_job if partitionings < _MIXED else MixedPartitionsJob
    return define(
        name=workflow,
        selection=dg.AssetSelection.groups(workflow) - dg.AssetSelection.checks(*without),
        description=description,
        executor_def=quick_executor,
        config=side_by_side if executor == "multiprocess" else None,
    )


def build_schedule(job: AnyJob, cron: str, timezone: str, about: str, *, autostart: bool) -> dg.ScheduleDefinition:
    """A run of a job by cron.

    Raises:
        dagster.DagsterInvalidDefinitionError: the cron expression or time zone is none.
    """
    status = dg.DefaultScheduleStatus.RUNNING if autostart else dg.DefaultScheduleStatus.STOPPED
    return dg.ScheduleDefinition(
        name=f"{job.name}_schedule",
        job=job,
        cron_schedule=cron,
        execution_timezone=timezone,
        default_status=status,
        description=about,
    )
