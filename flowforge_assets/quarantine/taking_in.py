"""The run that takes released rows in: a table's silver and what is made from it, in this process, as any run of the job."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import dagster as dg

from flowforge_resources.errors import FlowForgeError

if TYPE_CHECKING:
    from flowforge_resources.layout import TableId


def take_in(defs: dg.Definitions, table: TableId) -> str:
    """Run silver of a table and all that depends on it in its workflow; the run's id.

    Raises:
        FlowForgeError: the run failed; the rows stay released, and the next run takes them in.
    """
    key = dg.AssetKey(table.silver_key)
    graph = defs.resolve_asset_graph()
    group = dg.AssetSelection.groups(table.workflow)
    selected = sorted((dg.AssetSelection.assets(key).downstream() & group).resolve(graph))
    job = defs.resolve_job_def(table.workflow)
    home = os.environ.get("DAGSTER_HOME")
    with dg.DagsterInstance.get() if home else dg.DagsterInstance.ephemeral() as instance:
        quiet = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}
        done = job.execute_in_process(
            instance=instance, asset_selection=selected, raise_on_error=False, run_config=quiet
        )
    if not done.success:
        raise FlowForgeError(
            f"The run {done.run_id} of {table} failed. The rows stay released: the next run that succeeds takes them in."
        )
    return done.run_id
