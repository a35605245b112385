"""The silver asset of a table: bronze rows typed, judged, deduplicated and merged; the rest in quarantine.

Stage, audit, publish: everything is computed on local disk first, every check is known before anything is published,
and a failed blocking check publishes nothing, so that the same batch comes again in the next run.

Belongs here: the asset, its checks and its step. Does not: what a run takes in (`batch`), how it is computed
(`stage`), what is said of it (`report`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import dagster as dg

from flowforge_assets import column_notes
from flowforge_assets.partitions.checks import unlisted
from flowforge_assets.partitions.definitions import backfill_policy, chosen_partitions, partitions_def, record
from flowforge_assets.partitions.runs import let_partitioned_tables_read_each_other
from flowforge_assets.quarantine.limits import alert, of_waiting
from flowforge_assets.running.step import (
    AssetFace,
    StepEvents,
    Stopwatch,
    check_spec,
    layer_asset,
    report,
    results,
    rule_spec,
    started_at,
)
from flowforge_assets.running.users_code import beside_others
from flowforge_assets.silver.alone import judge_published
from flowforge_assets.silver.batch import Batch, chosen_batch, next_batch
from flowforge_assets.silver.extract_check import ABOUT_EXTRACT, EXTRACT
from flowforge_assets.silver.report import metadata, report_of, unchanged
from flowforge_assets.silver.stage import nothing_new, stage
from flowforge_assets.strategies import judged
from flowforge_assets.transforms.prepare import TRANSFORMS, failures
from flowforge_checks.quarantine_limits import WAITING
from flowforge_checks.results import BOOKS, unless_blocked
from flowforge_checks.rules import BROKEN_ROWS, in_code
from flowforge_checks.statements import KEYS_PRESENT, PARTITION, TYPE
from flowforge_resources.layout import TableId
from flowforge_resources.partitioned import finish

if TYPE_CHECKING:
    from flowforge_assets.gates.keeping import Gatekeeper
    from flowforge_assets.silver.partitions import PartitionedBatch
    from flowforge_assets.table_spec import TableSpec
    from flowforge_resources.lake import Lake


def build_silver(spec: TableSpec, face: AssetFace) -> dg.AssetsDefinition:
    """The asset `[workflow, silver_<table>]` with one check a rule, and the books as a blocking check."""
    key = dg.AssetKey(spec.id.silver_key)
    declared = {
        "dagster/column_schema": column_notes.declared_silver(spec),
        "strategy": spec.strategy.kind,
        "key": dg.MetadataValue.md(in_code(spec.keys)),
        "newest_row": dg.MetadataValue.md(in_code(spec.sequence_by) if spec.sequence_by else "the one that came last"),
    }
    upstream = silver_reads(spec)
    if spec.partition_by and len(upstream) > 1:
        let_partitioned_tables_read_each_other()
    return layer_asset(
        key,
        replace(face, metadata={**face.metadata, **declared}),
        lambda context, gate: _take_batch(context, spec, key, gate),
        layer="silver",
        engine="duckdb",
        deps=upstream,
        checks=silver_checks(spec, key),
        code_version=spec.fingerprint,
        pool=spec.id.pool,
        partitions=partitions_def(spec),
        backfill=backfill_policy(spec.partition_by),
        beside_others=beside_others((*spec.transforms, *spec.rules)),
    )


def silver_reads(spec: TableSpec) -> list[tuple[str, str]]:
    """Keys of the assets that silver is made from: its bronze, and other silver that rules and lookups look into."""
    others = [TableId(spec.id.workflow, name).silver_key for name in spec.tables_read if name != spec.id.name]
    return [spec.root.id.bronze_key, *others]


def silver_checks(spec: TableSpec, key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """Those that are there by themselves, one a rule, and the books."""
    held = BROKEN_ROWS["quarantine"]
    implied = []
    if spec.keys:
        implied.append(check_spec(KEYS_PRESENT, key, f"Key columns ({in_code(spec.keys)}) are never empty; {held}."))
    if spec.typed_columns:
        types = ", ".join(f"`{column.name}` {column.expected}" for column in spec.typed_columns)
        implied.append(check_spec(TYPE, key, f"Every value is of its column's declared type: {types}; {held}."))
    if failures(spec):
        said = f"Every transform can be computed for every row; {held}."
        implied.append(check_spec(TRANSFORMS, key, said))
    if unlisted(spec):
        implied.append(check_spec(PARTITION, key, f"Every row is in one of the declared partitions; {held}."))
    if spec.strategy.takes_extracts:
        implied.append(check_spec(EXTRACT, key, ABOUT_EXTRACT, blocks=True))
    if judged.needs_sequence(spec):
        implied.append(check_spec(judged.SEQUENCE_PRESENT, key, f"`{spec.sequence_by[0]}` is never empty; {held}."))
    if spec.quarantine.is_checked:
        implied.append(check_spec(WAITING, key, spec.quarantine.about))
    ruled = [rule_spec(rule, key) for rule in spec.rules]
    return [
        *implied,
        *ruled,
        check_spec(BOOKS, key, "Every row read is in exactly one column of the account.", blocks=True),
    ]


def _take_batch(context: dg.AssetExecutionContext, spec: TableSpec, key: dg.AssetKey, gate: Gatekeeper) -> StepEvents:
    lake: Lake = context.resources.lake.open()
    watch = Stopwatch()
    batch = _batch_of_run(context, lake, spec)
    if key not in context.selected_asset_keys and batch.published is not None:
        outcomes = gate.waived(judge_published(lake, spec, batch, batch.published, started_at(context)))
        gate.settle_published(outcomes, batch.published)
        yield from results(context, key, outcomes)
        return
    if batch.brings_nothing and batch.published is not None:
        report(context, key, lake, report_of(lake, spec, None, watch, batch.published.rows))
        if key in context.selected_asset_keys:
            said = unchanged(lake, spec, batch.published, watch)
            yield dg.MaterializeResult(asset_key=key, value=nothing_new(spec, batch), metadata=said)
        blocking = [rule.check_name for rule in spec.rules if rule.effective_action == "block"]
        blocking += [EXTRACT] if spec.strategy.takes_extracts else []
        stood = gate.stood([*blocking, BOOKS], batch.published)
        gate.settle(stood)
        waits = of_waiting(lake, spec)
        alert(context, spec, waits)
        yield from results(context, key, [*waits, *stood])
        return
    with lake.scratch() as scratch:
        run_id, began = context.run.run_id, started_at(context)
        staged = stage(lake, spec, batch, scratch=scratch, watch=watch, run_id=run_id, began=began)
        staged = replace(staged, outcomes=unless_blocked(gate.waived(staged.outcomes)))
        if key in context.selected_asset_keys and not staged.blocked:
            said = metadata(lake, spec, batch, staged, watch)
            if staged.partitions is not None:
                said |= _record_partitions(context, spec, key, staged.partitions)
            yield dg.MaterializeResult(asset_key=key, value=staged.output, metadata=said)
        gate.settle(staged.outcomes, partitions=batch.chosen, everything=batch.replay and not batch.chosen)
        report(context, key, lake, report_of(lake, spec, staged, watch, staged.books.rows_after))
        waits = of_waiting(lake, spec)
        alert(context, spec, waits)
        yield from results(context, key, [*waits, *staged.outcomes])


def _batch_of_run(context: dg.AssetExecutionContext, lake: Lake, spec: TableSpec) -> Batch:
    """What is new; or, where a person chose partitions, what those are made of."""
    if spec.partition_by is None:
        return next_batch(lake, spec)
    finish(lake, spec.id)
    if chosen := chosen_partitions(context):
        return chosen_batch(lake, spec, chosen)
    return next_batch(lake, spec)


def _record_partitions(
    context: dg.AssetExecutionContext, spec: TableSpec, key: dg.AssetKey, parts: PartitionedBatch
) -> dict[str, Any]:
    """Note what became of each touched partition, and say of the table how many there were.

    Dagster itself notes the partitions a person chose.
    """
    touched = parts.touched()
    if parts.chosen:
        for name in parts.chosen:
            context.add_asset_metadata(touched.get(name, {}), asset_key=key, partition_key=name)
        unlisted: list[str] = []
    else:
        unlisted = record(context, spec, key, touched)
    said = {"partitions_written": len(touched), "partitions_searched": parts.searched}
    return said | ({"partitions_not_listed": ", ".join(unlisted[:100])} if unlisted else {})
