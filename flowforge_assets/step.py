"""What every FlowForge step does besides its work: name the run, tell permanent from transient failure, report.

Belongs here: the frame around a step. Does not: what a step computes.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING, Any

import dagster as dg

from flowforge_resources.errors import FlowForgeError, PermanentError
from flowforge_resources.layout import utc_now
from flowforge_resources.run_reports import AssetReport, write_report

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from flowforge_checks.results import Outcome
    from flowforge_resources.lake import Lake

# A transient failure (store away, table published by another run) is tried again after about 1, 2 and 4 seconds.
RETRY = dg.RetryPolicy(max_retries=3, delay=1, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
PREVIEW_ROWS = 5


@dataclass(frozen=True)
class AssetFace:
    """How an asset is shown: what YAML says about it besides its data."""

    description: str | None = None
    owners: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    freshness: dg.FreshnessPolicy | None = None
    automation: dg.AutomationCondition[Any] | None = None


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


@contextmanager
def clear_failure() -> Iterator[None]:
    """Let a permanent error end the step at once: Dagster's retry policy is for the others."""
    try:
        yield
    except PermanentError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
    except FlowForgeError:
        raise


@lru_cache(maxsize=8)
def _started_at(instance: dg.DagsterInstance, run_id: str) -> datetime:
    record = instance.get_run_record_by_id(run_id)
    return record.create_timestamp if record else utc_now()


def started_at(context: dg.AssetExecutionContext) -> datetime:
    """When the run was created: the same for every step and process of it."""
    return _started_at(context.instance, context.run_id)


def report(context: dg.AssetExecutionContext, lake: Lake, said: AssetReport) -> None:
    """Put the asset's report of this run on the lake."""
    workflow = context.assets_def.keys_by_output_name
    name = next(iter(workflow.values())).path[0]
    write_report(lake, name, context.run_id, started_at(context), said)


def results(
    context: dg.AssetExecutionContext, key: dg.AssetKey, outcomes: Sequence[Outcome]
) -> Iterator[dg.AssetCheckResult]:
    """The selected checks' results, those that block last: a failed one ends the step where it is yielded."""
    selected = {check.name for check in context.selected_asset_check_keys}
    for outcome in sorted(outcomes, key=lambda one: one.blocks):
        if outcome.check in selected:
            yield outcome.result(key)


def check_spec(
    name: str, key: dg.AssetKey, description: str | None = None, *, blocks: bool = False
) -> dg.AssetCheckSpec:
    """A check of an asset."""
    return dg.AssetCheckSpec(name, asset=key, description=description, blocking=blocks)
