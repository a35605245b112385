"""The job `<workflow>_maintenance`: one op that sweeps what no table of the workflow needs, and says what it removed.

Dagster wants the type itself, not its name, on an op's `context`: no postponed annotations in this module.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from flowforge_assets.executor import quick_executor
from flowforge_assets.table_spec import TableSpec
from flowforge_resources.retries import clear_failure
from flowforge_resources.sweep import KINDS, Swept, sweep

SHOWN = 50


def build_maintenance(workflow: str, tables: Sequence[TableSpec]) -> dg.JobDefinition:
    """The job that sweeps the tables of a workflow; its op's output says what went."""

    @dg.op(
        name=f"sweep_{workflow}",
        out=dg.Out(dg.Nothing),
        required_resource_keys={"lake"},
        description="Removes bronze of killed runs, snapshots past their time, states of no version, folders of dead tasks and unfinished uploads.",
    )
    def sweep_tables(context: dg.OpExecutionContext) -> None:
        retentions = {spec.id: spec.retention for spec in tables}
        with clear_failure(context.retry_number):
            swept = sweep(context.resources.lake.open(), retentions, run_id=context.run_id)
        for note in swept.notes:
            context.log.warning("%s", note)
        context.add_output_metadata(swept_metadata(swept))

    @dg.job(
        name=f"{workflow}_maintenance",
        executor_def=quick_executor,
        description=f"Removes what no table of {workflow} needs any more; `flowforge sweep --dry-run` says what that is.",
    )
    def maintenance() -> None:
        sweep_tables()

    return maintenance


def swept_metadata(swept: Swept) -> dict[str, Any]:
    """How much went of each kind, and what."""
    names = [f"- {one.kind}: `{one.name}` ({one.size_bytes:,} bytes)" for one in swept.removed]
    more = [f"- and {len(names) - SHOWN} more"] if len(names) > SHOWN else []
    return {
        "removed": len(swept.removed),
        "size_bytes": sum(one.size_bytes for one in swept.removed),
        **{f"removed {kind}": len(found) for kind in KINDS if (found := swept.of_kind(kind))},
        "what": dg.MetadataValue.md("\n".join([*names[:SHOWN], *more]) or "nothing"),
    }
