"""What every FlowForge step does besides its work: name the run, tell permanent from transient failure, report.

Belongs here: the frame around a step. Does not: what a step computes.

Dagster wants the type itself, not its name, on a step's `context`: no postponed annotations in this module.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from time import perf_counter
from typing import Any

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from flowforge_assets.gates.keeping import Gatekeeper, gate_spec
from flowforge_assets.lineage.recorded import RecordedLineage
from flowforge_assets.running.steps_at_once import QUERIES, SHARES_PROCESS
from flowforge_checks.holding import NO_EDGES, UPSTREAM_GATE, GateGraph
from flowforge_checks.results import Outcome
from flowforge_checks.rules import Rule
from flowforge_resources.errors import FlowForgeError, LakeAccessError, PermanentError
from flowforge_resources.lake import Lake
from flowforge_resources.layout import utc_now
from flowforge_resources.retries import clear_failure
from flowforge_resources.run_reports import AssetReport, write_report

Event = dg.MaterializeResult[Any] | dg.AssetCheckResult
StepEvents = Iterator[Event]


@dataclass(frozen=True)
class AssetFace:
    """How an asset is shown: what YAML says about it besides its data."""

    description: str | None = None
    owners: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    freshness: dg.FreshnessPolicy | None = None
    automation: dg.AutomationCondition[Any] | None = None
    lineage: RecordedLineage | None = None
    gates: GateGraph = NO_EDGES


class Stopwatch:
    """Seconds by phase, for the `timings` of a materialization."""

    def __init__(self) -> None:
        self.began = perf_counter()
        self.phases: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a block under a name."""
        start = perf_counter()
        try:
            yield
        finally:
            self.phases[name] = self.phases.get(name, 0.0) + perf_counter() - start

    @property
    def seconds(self) -> float:
        """Since the step began."""
        return perf_counter() - self.began

    def metadata(self) -> dict[str, dg.MetadataValue[Any]]:
        """Numbers that the UI can plot: `seconds` and `seconds_<phase>`."""
        timed = {f"seconds_{name}": round(value, 4) for name, value in self.phases.items()}
        return {
            name: dg.MetadataValue.float(value) for name, value in {"seconds": round(self.seconds, 4), **timed}.items()
        }


@lru_cache(maxsize=8)
def _started_at(instance: dg.DagsterInstance, run_id: str) -> datetime:
    record = instance.get_run_record_by_id(run_id)
    return record.create_timestamp if record else utc_now()


def started_at(context: dg.AssetExecutionContext) -> datetime:
    """When the run was created: the same for every step and process of it."""
    return _started_at(context.instance, context.run.run_id)


def report(context: dg.AssetExecutionContext, key: dg.AssetKey, lake: Lake, said: AssetReport) -> None:
    """Put an asset's report of this run on the lake."""
    asked = sorted(one.path[-1] for one in context.run.asset_selection or ())
    said = replace(said, selected=tuple(asked))
    write_report(lake, key.path[0], context.run.run_id, started_at(context), said)


@contextmanager
def failure_reported(context: dg.AssetExecutionContext, key: dg.AssetKey, layer: str) -> Iterator[None]:
    """Put what ends a step for good on the lake too, for `flowforge status`; a lake that refuses is asked no more."""
    try:
        yield
    except LakeAccessError:
        raise
    except PermanentError as error:
        with suppress(FlowForgeError):
            said = AssetReport(key.path[-1], layer, "", published=False, failed=str(error))
            report(context, key, context.resources.lake.open(), said)
        raise


def results(context: dg.AssetExecutionContext, key: dg.AssetKey, outcomes: Sequence[Outcome]) -> StepEvents:
    """The selected checks' results, those that block last: a failed one ends the step where it is yielded.

    A check this run had nothing to say about keeps its last result; the UI would show it as not evaluated otherwise.
    """
    yield from _repeated(context, {outcome.check for outcome in outcomes})
    selected = {check.name for check in context.selected_asset_check_keys}
    for outcome in sorted(outcomes, key=lambda one: one.blocks):
        if outcome.check in selected:
            yield outcome.result(key)


def _repeated(context: dg.AssetExecutionContext, said: AbstractSet[str]) -> Iterator[dg.AssetCheckResult]:
    """The last results of checks about which nothing was said; a gate that never was shut goes on saying nothing."""
    for check in sorted(context.selected_asset_check_keys, key=lambda one: one.name):
        if check.name not in {*said, UPSTREAM_GATE} and (last := last_result(context, check)):
            yield last


def _held(context: dg.AssetExecutionContext, key: dg.AssetKey, keeper: Gatekeeper, layer: str) -> StepEvents:
    """A step that waits: it says for what, and what its other checks last said, but for failures that would end it."""
    outcome = keeper.hold()
    lake: Lake = context.resources.lake.open()
    said = AssetReport(
        key.path[-1],
        layer,
        "",
        published=False,
        blocked=True,
        checks=(outcome.report(),),
        notes=(f"{keeper.asset}: {outcome.description}",),
    )
    report(context, key, lake, said)
    for last in _repeated(context, set()):
        if last.passed or last.severity == dg.AssetCheckSeverity.WARN:
            yield last


def last_result(context: dg.AssetExecutionContext, check: dg.AssetCheckKey) -> dg.AssetCheckResult | None:
    """What the check said when it last had something to say, as this instance remembers it."""
    storage = context.instance.event_log_storage
    judged = {AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED}
    found = storage.get_asset_check_execution_history(check, limit=1, status=judged)
    event = found[0].event if found else None
    if event is None or event.dagster_event is None:
        return None
    last = event.dagster_event.asset_check_evaluation_data
    return dg.AssetCheckResult(
        passed=last.passed,
        asset_key=check.asset_key,
        check_name=check.name,
        severity=last.severity,
        description=last.description or "No new rows; as last judged.",
        metadata=last.metadata,
    )


def check_spec(
    name: str,
    key: dg.AssetKey,
    description: str | None = None,
    *,
    blocks: bool = False,
    metadata: Mapping[str, Any] | None = None,
) -> dg.AssetCheckSpec:
    """A check of an asset."""
    return dg.AssetCheckSpec(name, asset=key, description=description, blocking=blocks, metadata=metadata)


def rule_spec(rule: Rule, key: dg.AssetKey) -> dg.AssetCheckSpec:
    """The check of a rule."""
    owner = {"owner": rule.owner} if rule.owner else {}
    return check_spec(rule.check_name, key, rule.about, blocks=rule.effective_action == "block", metadata=owner)


def layer_asset(
    key: dg.AssetKey,
    face: AssetFace,
    compute: Callable[[dg.AssetExecutionContext, Gatekeeper], StepEvents],
    *,
    layer: str,
    engine: str,
    deps: Sequence[tuple[str, str]] = (),
    checks: Sequence[dg.AssetCheckSpec] = (),
    code_version: str | None = None,
    partitions: dg.PartitionsDefinition[str] | None = None,
    backfill: dg.BackfillPolicy | None = None,
    pool: str | None = None,
    beside_others: str | None = QUERIES,
) -> dg.AssetsDefinition:
    """An asset of a layer with its checks as one step, stored by the layer's IO manager.

    `pool`: what writes one table waits in one pool; a daemon starts no run whose pools are taken.
    `beside_others`: what bounds its memory where it runs beside other steps in one process; None: it never does.

    One step, because an event costs 3 ms and a step 15; subsettable, so that checks can be run alone.
    """
    name = key.path[-1]
    gated = [*checks, *([gate_spec(key)] if deps else [])]
    # A partition is judged by all of another table, whatever partition of it a row belongs to.
    whole = dg.AllPartitionMapping() if partitions else None
    out = dg.AssetOut(
        key=key,
        description=face.description,
        io_manager_key=f"{layer}_io_manager",
        dagster_type=dg.Any,
        is_required=False,
        owners=list(face.owners),
        tags=face.tags,
        kinds={layer, engine, "parquet"},
        group_name=key.path[0],
        freshness_policy=face.freshness,
        automation_condition=face.automation,
        code_version=code_version,
        metadata=face.metadata,
    )

    @dg.multi_asset(
        name="__".join(key.path),
        outs={name: out},
        deps=[dg.AssetDep(dg.AssetKey(dep), partition_mapping=whole) for dep in deps],
        check_specs=gated,
        can_subset=True,
        required_resource_keys={"lake"},
        partitions_def=partitions,
        backfill_policy=backfill,
        pool=pool,
        op_tags={SHARES_PROCESS: beside_others} if beside_others else None,
    )
    def step(context: dg.AssetExecutionContext) -> StepEvents:
        with clear_failure(context.retry_number), failure_reported(context, key, layer):
            for event in behind_gates(context, key, face, compute, layer=layer, checks=[one.name for one in gated]):
                yield with_lineage(context, face, event)

    return step


def behind_gates(
    context: dg.AssetExecutionContext,
    key: dg.AssetKey,
    face: AssetFace,
    compute: Callable[[dg.AssetExecutionContext, Gatekeeper], StepEvents],
    *,
    layer: str,
    checks: Sequence[str] = (),
) -> StepEvents:
    """The step's own work, unless something above its table holds it."""
    keeper = Gatekeeper(context, context.resources.lake.open(), key, face.gates, checks)
    if keeper.holds:
        yield from _held(context, key, keeper, layer)
        return
    keeper.release()
    yield from compute(context, keeper)


def with_lineage(context: dg.AssetExecutionContext, face: AssetFace, event: Event) -> Event:
    """A materialization with where its columns come from."""
    if face.lineage is None or not isinstance(event, dg.MaterializeResult) or event.asset_key is None:
        return event
    said = face.lineage.metadata(event.asset_key, context.resources.lake.open())
    return event._replace(metadata={**(event.metadata or {}), **said})


def set_asset(
    key: dg.AssetKey,
    face: AssetFace,
    compute: Callable[[dg.AssetExecutionContext], StepEvents],
    *,
    deps: Sequence[tuple[str, str]],
    kind: str,
) -> dg.AssetsDefinition:
    """An asset made of a workflow's tables as they lie on the lake, which stores itself; no IO manager has a part in it."""
    spec = dg.AssetSpec(
        key,
        deps=[dg.AssetKey(dep) for dep in deps],
        description=face.description,
        group_name=key.path[0],
        kinds={"gold", kind},
        automation_condition=face.automation,
        skippable=True,
    )

    name, pool = "__".join(key.path), "/".join(("flowforge", *key.path))

    @dg.multi_asset(
        name=name,
        specs=[spec],
        check_specs=[gate_spec(key)],
        can_subset=True,
        required_resource_keys={"lake"},
        pool=pool,
    )
    def step(context: dg.AssetExecutionContext) -> StepEvents:
        with clear_failure(context.retry_number), failure_reported(context, key, "set"):
            yield from behind_gates(context, key, face, lambda context, _: compute(context), layer="set")

    return step
