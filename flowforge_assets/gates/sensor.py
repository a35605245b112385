"""The sensor `<workflow>_gates`: asks again for what a gate held back, as soon as it may go on.

Two things wait for it: a table that a step left as it was, once nothing above it fails any more (or it was waived); and
a batch that a blocking check stopped, once that check is waived. Each is asked for once: whoever is held or fails again
is noted anew on the lake. What it remembers is only for what it has asked; losing it costs one run that finds nothing to do.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import dagster as dg

from flowforge_assets.sensors import with_downstream
from flowforge_checks.holding import GateReader
from flowforge_resources.layout import utc_now

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

    from flowforge_checks.holding import GateGraph

GATE_TAG = "flowforge/gate"


def build_gate_sensor(
    workflow: str,
    graph: GateGraph,
    job: UnresolvedAssetJobDefinition,
    *,
    interval_s: int,
    status: dg.DefaultSensorStatus,
) -> dg.SensorDefinition:
    """The sensor; one small read of the lake a tick where nothing fails and nothing is held."""

    @dg.sensor(
        name=f"{workflow}_gates",
        job=job,
        minimum_interval_seconds=interval_s,
        default_status=status,
        description="Makes tables that a failed check above them held back, as soon as it passed or was waived.",
        required_resource_keys={"lake"},
    )
    def gates(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        found = dict(ready(workflow, graph, GateReader(context.resources.lake.open()), utc_now()))
        asked = set(json.loads(context.cursor or "[]"))
        new = {nonce: asset for nonce, asset in found.items() if nonce not in asked}
        cursor = json.dumps(sorted(found))
        if not new:
            return dg.SensorResult(skip_reason="No held table may go on.", cursor=cursor)
        keys = [dg.AssetKey(asset.split("/")) for asset in sorted(set(new.values()))]
        request = dg.RunRequest(asset_selection=with_downstream(context, keys), tags={GATE_TAG: workflow})
        return dg.SensorResult(run_requests=[request], cursor=cursor)

    return gates


def ready(workflow: str, graph: GateGraph, gates: GateReader, now: datetime) -> Iterator[tuple[str, str]]:
    """What waits in a workflow and may go on: what names this very waiting, and the asset.

    Chosen partitions that were held are not among them: who chose them knows whether to choose them again.
    """
    own = gates(workflow)
    for asset, held in own.held.items():
        if asset in graph.edges and not held.partitions and not graph.holds(asset, gates, now):
            yield held.nonce, asset
    for asset, checks in own.failed.items():
        waiting = [one for one in checks if one.blocking and not one.published and not one.partitions]
        waivers = [own.waiver(asset, one.check, of=None, now=now) for one in waiting]
        if waiting and all(waivers):
            decided = max(one.decision.at.isoformat() for one in waivers if one)
            yield f"{asset} {max(one.failed_at for one in waiting)} {decided}", asset
