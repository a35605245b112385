"""The trail of decisions as an asset `[workflow, quarantine_decisions]`: what Dagster is told of each decision.

The trail itself lies on the lake, one entry a file (`flowforge_resources.quarantine_decisions`); `flowforge query` has it
as `<workflow>_decisions.<table>`. What Dagster is told holds no value of a row.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from flowforge_assets.quarantine.deciding import Recorded

QUARANTINE_DECISIONS = "quarantine_decisions"


def trail_key(workflow: str) -> dg.AssetKey:
    """Key of the trail of a workflow."""
    return dg.AssetKey([workflow, QUARANTINE_DECISIONS])


def build_trail(workflow: str) -> dg.AssetSpec:
    """The trail as an asset that decisions materialize, no run does."""
    return dg.AssetSpec(
        trail_key(workflow),
        description=f"Every decision about a quarantined row of {workflow}: who, why, when, until when. Append-only; "
        f'`flowforge query "FROM {workflow}_decisions.<table>"` asks it.',
        group_name=workflow,
        kinds={"json"},
    )


def told(done: Recorded) -> dg.AssetMaterialization:
    """A decision as an event of the trail."""
    said = {name: value for name, value in done.as_dict().items() if value is not None}
    return dg.AssetMaterialization(trail_key(done.spec.id.workflow), description=str(done), metadata=said)


def tell(done: Recorded) -> bool:
    """Report a decision to the Dagster instance; False where DAGSTER_HOME names none."""
    if not os.environ.get("DAGSTER_HOME"):
        return False
    with dg.DagsterInstance.get() as instance:
        instance.report_runless_asset_event(told(done))
    return True
