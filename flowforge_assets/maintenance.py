"""The job `<workflow>_maintenance`: one op that compacts bronze, one that sweeps; each says what it did.

Dagster wants the type itself, not its name, on an op's `context`: no postponed annotations in this module.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from flowforge_assets.quarantine.limits import give_up
from flowforge_assets.quarantine.trail import told
from flowforge_assets.running.executor import quick_executor
from flowforge_assets.table_spec import TableSpec
from flowforge_resources.compaction import Compacted, compact
from flowforge_resources.retries import clear_failure
from flowforge_resources.sweep import KINDS, Swept, sweep

SHOWN = 50


def build_maintenance(workflow: str, tables: Sequence[TableSpec]) -> dg.JobDefinition:
    """The job that compacts and sweeps the tables of a workflow; its ops' outputs say what was made and what went."""

    @dg.op(
        name=f"compact_{workflow}",
        out=dg.Out(dg.Nothing),
        required_resource_keys={"lake"},
        description="Makes few bronze files of many small ones; the small ones go with a later sweep.",
    )
    def compact_tables(context: dg.OpExecutionContext) -> None:
        own = [spec.id for spec in tables if spec.routed is None]
        with clear_failure(context.retry_number):
            done = compact(context.resources.lake.open(), own, run_id=context.run_id)
        for note in done.notes:
            context.log.warning("%s", note)
        context.add_output_metadata(compacted_metadata(done))

    @dg.op(
        name=f"sweep_{workflow}",
        ins={"compacted": dg.In(dg.Nothing)},
        out=dg.Out(dg.Nothing),
        required_resource_keys={"lake"},
        description="Removes bronze of killed runs and bronze that was compacted, snapshots past their time, states of no version, folders of dead tasks and unfinished uploads.",
    )
    def sweep_tables(context: dg.OpExecutionContext) -> None:
        retentions = {spec.id: spec.retention for spec in tables}
        with clear_failure(context.retry_number):
            swept = sweep(context.resources.lake.open(), retentions, run_id=context.run_id)
        for note in swept.notes:
            context.log.warning("%s", note)
        given_up = give_up(context.resources.lake.open(), tables)
        for done in given_up:
            context.log.info("%s", done)
            context.log_event(told(done))
        gone = sum(len(done.entry.rows) for done in given_up)
        context.add_output_metadata(swept_metadata(swept) | ({"quarantined rows discarded": gone} if gone else {}))

    @dg.job(
        name=f"{workflow}_maintenance",
        executor_def=quick_executor,
        description=f"Compacts bronze of {workflow} and removes what no table needs any more; `flowforge compact --dry-run` and `flowforge sweep --dry-run` say what that is.",
    )
    def maintenance() -> None:
        sweep_tables(compacted=compact_tables())

    return maintenance


def compacted_metadata(done: Compacted) -> dict[str, Any]:
    """How many files became how many, and which."""
    said = [f"- `{one.key}`: {len(one.files)} files, {one.size_bytes:,} bytes before" for one in done.groups]
    more = [f"- and {len(said) - SHOWN} more"] if len(said) > SHOWN else []
    return {
        "files_before": sum(len(one.files) for one in done.groups),
        "files_after": len(done.groups),
        "size_bytes": sum(one.size_bytes_after for one in done.groups),
        "what": dg.MetadataValue.md("\n".join([*said[:SHOWN], *more]) or "nothing"),
    }


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
