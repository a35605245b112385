"""A table's partitions as Dagster lists, shows and backfills them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

from flowforge_assets.partitions.partition_by import KEY_FORMATS
from flowforge_resources.layout import OTHER_PARTITION

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from flowforge_assets.partitions.partition_by import PartitionBy
    from flowforge_assets.table_spec import TableSpec

_CRONS = {"hour": "0 * * * *", "day": "0 0 * * *", "week": "0 0 * * 1", "month": "0 0 1 * *"}


def partitions_def(spec: TableSpec) -> dg.PartitionsDefinition | None:
    """Time windows from `start`, the declared values, or the values found so far; None for a table in one piece."""
    by = spec.partition_by
    if by is None:
        return None
    if by.every:
        return dg.TimeWindowPartitionsDefinition(
            start=by.begins,
            fmt=KEY_FORMATS[by.every],
            cron_schedule=_CRONS[by.every],
            timezone=by.timezone,
            end_offset=by.end_offset,
        )
    if by.values is not None:
        return dg.StaticPartitionsDefinition([*by.values, *([OTHER_PARTITION] if by.other else [])])
    return dg.DynamicPartitionsDefinition(name=dynamic_name(spec))


def dynamic_name(spec: TableSpec) -> str:
    """The name under which Dagster keeps the values found so far."""
    return f"{spec.id.workflow}_{spec.id.name}"


def backfill_policy(by: PartitionBy | None) -> dg.BackfillPolicy | None:
    """All partitions of a backfill in one run, or some a run."""
    if by is None:
        return None
    if by.backfill == "single_run":
        return dg.BackfillPolicy.single_run()
    return dg.BackfillPolicy.multi_run(max_partitions_per_run=by.max_partitions_per_run)


def chosen_partitions(context: dg.AssetExecutionContext) -> tuple[str, ...]:
    """The partitions a person or backfill chose for this run; none in a run that takes new bronze."""
    if not (context.has_partition_key or context.has_partition_key_range):
        return ()
    return tuple(context.partition_keys)


def record(
    context: dg.AssetExecutionContext, spec: TableSpec, key: dg.AssetKey, touched: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """One materialization event a touched partition, with its metadata; returns the keys Dagster does not list.

    What Dagster does not list (earlier than `start`, not yet ended, without a value) is on the lake all the same.
    """
    listed = partitions_def(spec)
    if isinstance(listed, dg.DynamicPartitionsDefinition):
        context.instance.add_dynamic_partitions(dynamic_name(spec), sorted(touched))
        known: Collection[str] = touched
    else:
        known = listed.filter_valid_partition_keys(set(touched)) if listed else ()
    for name in sorted(known):
        context.log_event(dg.AssetMaterialization(key, partition=name, metadata=touched[name]))
    return sorted(set(touched) - set(known))
