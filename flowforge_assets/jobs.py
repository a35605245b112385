"""One asset job a workflow, and its schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from flowforge_assets.running.executor import STEPS_AT_ONCE, quick_executor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

    AnyJob = dg.JobDefinition | UnresolvedAssetJobDefinition


_MIXED = 2


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
    from flowforge_assets.partitions.runs import MixedPartitionsJob

    asked = executor == "multiprocess" or max_concurrent != STEPS_AT_ONCE
    at_once = {"execution": {"config": {executor: {"max_concurrent": max_concurrent}}}}
    define = dg.define_asset_job if partitionings < _MIXED else MixedPartitionsJob
    return define(
        name=workflow,
        selection=dg.AssetSelection.groups(workflow) - dg.AssetSelection.checks(*without),
        description=description,
        executor_def=quick_executor,
        config=at_once if asked else None,
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
