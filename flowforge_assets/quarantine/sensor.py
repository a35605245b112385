"""The sensor `<workflow>_releases`: asks for a run of the tables whose rows were released, and of what is made from them.

It asks once for each release: a run that fails is seen in Dagster, and the next one takes the rows in. Its cursor says how
many decisions of each table were looked at, so that a tick with nothing new is one small read a table; losing it costs
reading them all once.
"""

from __future__ import annotations

import json
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

import dagster as dg

from flowforge_assets.sensors import with_downstream
from flowforge_assets.silver.batch import decided_upto
from flowforge_resources.io_managers import published_silver
from flowforge_resources.quarantine_decisions import read_decisions
from flowforge_resources.side_by_side import side_by_side

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

    from flowforge_assets.table_spec import TableSpec
    from flowforge_resources.lake import Lake

RELEASE_TAG = "flowforge/release"


def build_release_sensor(
    workflow: str,
    tables: Sequence[TableSpec],
    job: UnresolvedAssetJobDefinition,
    *,
    interval_s: int,
    status: dg.DefaultSensorStatus,
) -> dg.SensorDefinition:
    """The sensor."""

    @dg.sensor(
        name=f"{workflow}_releases",
        job=job,
        minimum_interval_seconds=interval_s,
        default_status=status,
        description="Requests a run when quarantined rows were released, which judges and merges them.",
        required_resource_keys={"lake"},
    )
    def releases(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        lake: Lake = context.resources.lake.open()
        known = json.loads(context.cursor or "{}")
        looks = side_by_side(partial(_look, lake, known), tables)
        cursor = json.dumps({spec.id.name: seen for spec, (seen, _) in zip(tables, looks, strict=True) if seen})
        due = {spec.id: version for spec, (_, version) in zip(tables, looks, strict=True) if version}
        if not due:
            return dg.SensorResult(skip_reason="No row was released since.", cursor=cursor)
        said = sorted(f"{table} {version}" for table, version in due.items())
        request = dg.RunRequest(
            run_key=f"release {sha256(' '.join(said).encode()).hexdigest()[:16]}",
            asset_selection=with_downstream(context, sorted(dg.AssetKey(table.silver_key) for table in due)),
            tags={RELEASE_TAG: workflow},
        )
        return dg.SensorResult(run_requests=[request], cursor=cursor)

    return releases


def _look(lake: Lake, known: Mapping[str, int], spec: TableSpec) -> tuple[int, int]:
    """How many decisions a table has, and the newest release (or restore) among the new ones that no version holds; 0 for none."""
    seen = int(known.get(spec.id.name, 0))
    new = read_decisions(lake, spec.id, after=seen)
    released = max((one.version for one in new if one.action in ("release", "restore")), default=0)
    due = released if released and released > decided_upto(published_silver(lake, spec.id)) else 0
    return seen + len(new), due
