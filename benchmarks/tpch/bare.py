"""The least a Dagster job can be: one step that does nothing. Its time is what Dagster itself costs to start."""

import dagster as dg


@dg.op
def nothing() -> None:
    """Do nothing."""


@dg.job(executor_def=dg.in_process_executor)
def bare() -> None:
    """Run one step."""
    nothing()
