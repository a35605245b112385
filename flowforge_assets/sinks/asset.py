"""A sink as an asset: it delivers the published version of a table, and says how many rows arrived.

Dagster wants the type itself, not its name, on a step's `context`: no postponed annotations in this module.
"""

from typing import Any

import dagster as dg

from flowforge_assets.gates.keeping import Gatekeeper, gate_spec
from flowforge_assets.gold.asset import asset_path, open_table
from flowforge_assets.running.step import (
    AssetFace,
    StepEvents,
    Stopwatch,
    behind_gates,
    check_spec,
    report,
    results,
    with_lineage,
)
from flowforge_assets.running.steps_at_once import QUERIES, SHARES_PROCESS
from flowforge_assets.sinks.spec import SinkSpec
from flowforge_checks.results import Outcome
from flowforge_resources.duck import connect, literal
from flowforge_resources.errors import SinkCountsError
from flowforge_resources.lake import Lake
from flowforge_resources.retries import clear_failure
from flowforge_resources.run_reports import AssetReport
from flowforge_resources.sinks.delivered import Delivered
from flowforge_resources.sinks.outgoing import Outgoing

DELIVERED = "delivered"
LAYER = "sink"


def build_sink(spec: SinkSpec, face: AssetFace) -> dg.AssetsDefinition:
    """The asset `[workflow, <sink>]` with its check `delivered`."""
    key = dg.AssetKey(spec.id.key)
    said = "As many rows are in the target as were to be delivered, counted there after the write."
    checks = [check_spec(DELIVERED, key, said, blocks=True), gate_spec(key)]
    asset = dg.AssetSpec(
        key,
        deps=[dg.AssetKey(asset_path(spec.read))],
        description=face.description or f"The rows of `{spec.table}`, delivered to {spec.destination.described}.",
        owners=list(face.owners),
        tags=face.tags,
        metadata=face.metadata,
        group_name=key.path[0],
        kinds={LAYER, spec.destination.kind},
        code_version=spec.fingerprint,
        freshness_policy=face.freshness,
        automation_condition=face.automation,
        skippable=True,
    )

    @dg.multi_asset(
        name="__".join(key.path),
        specs=[asset],
        check_specs=checks,
        can_subset=True,
        required_resource_keys={"lake"},
        pool=spec.id.pool,
        op_tags={SHARES_PROCESS: QUERIES},
    )
    def step(context: dg.AssetExecutionContext) -> StepEvents:
        def compute(_: dg.AssetExecutionContext, gate: Gatekeeper) -> StepEvents:
            return _deliver(context, spec, key, gate)

        with clear_failure(context.retry_number):
            for event in behind_gates(context, key, face, compute, layer=LAYER, checks=[DELIVERED]):
                yield with_lineage(context, face, event)

    return step


def _deliver(context: dg.AssetExecutionContext, spec: SinkSpec, key: dg.AssetKey, gate: Gatekeeper) -> StepEvents:
    watch = Stopwatch()
    if key not in context.selected_asset_keys:
        yield from results(context, key, [])
        return
    lake: Lake = context.resources.lake.open()
    try:
        done = _delivered(lake, spec, watch)
    except SinkCountsError as error:
        outcome = Outcome(DELIVERED, passed=False, blocks=True, description=str(error))
        _report(context, spec, None, outcome, watch)
    else:
        outcome = _outcome(done)
        yield dg.MaterializeResult(asset_key=key, metadata=_metadata(done, watch))
        _report(context, spec, done, outcome, watch)
    gate.settle([outcome])
    yield from results(context, key, [outcome])


def _delivered(lake: Lake, spec: SinkSpec, watch: Stopwatch) -> Delivered:
    table = open_table(lake, spec.read)
    published = table.require()
    with lake.scratch() as scratch, connect(scratch.root) as connection:
        with watch.phase("read"):
            path, version = table.stage_in_version(scratch)
            source = f"read_parquet({literal(str(path))})"
            outgoing = Outgoing.of(connection, spec.select(source), version or published.nonce)
        with watch.phase("deliver"):
            return spec.destination.deliver(spec.name, spec.fingerprint, outgoing, lake)


def _outcome(done: Delivered) -> Outcome:
    said = f"{done.counted:,} of {done.rows:,} rows are in {done.target}."
    if not done.changed:
        said = f"Nothing new: {done.target} has this version since an earlier delivery."
    metadata = {"rows_in_version": done.rows, "rows_in_target": done.counted}
    return Outcome(DELIVERED, passed=done.counted == done.rows, blocks=True, description=said, metadata=metadata)


def _metadata(done: Delivered, watch: Stopwatch) -> dict[str, Any]:
    return {
        "target": dg.MetadataValue.text(done.target),
        "dagster/row_count": done.rows,
        "changed": done.changed,
        "rows_inserted": done.inserted,
        "rows_updated": done.updated,
        "rows_deleted": done.deleted,
        **watch.metadata(),
    }


def _report(
    context: dg.AssetExecutionContext,
    spec: SinkSpec,
    done: Delivered | None,
    outcome: Outcome,
    watch: Stopwatch,
) -> None:
    notes = () if outcome.passed else (f"{spec.name}: {outcome.description}",)
    said = AssetReport(
        asset=spec.id.name,
        layer=LAYER,
        uri=done.target if done else "",
        published=bool(done and done.changed),
        blocked=not outcome.passed,
        rows=done.rows if done else 0,
        seconds=round(watch.seconds, 3),
        checks=(outcome.report(),),
        notes=notes,
    )
    report(context, dg.AssetKey(spec.id.key), context.resources.lake.open(), said)
