"""What reconciliations found, kept on the lake: a small Parquet file an evaluation, written once."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from flowforge_resources.errors import MissingTableError
from flowforge_resources.frames import scan_all
from flowforge_resources.layout import reconciliation_result, reconciliation_results, utc_now

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from flowforge_resources.lake import Lake

_COLUMNS = ("measure", "group", "left", "right", "difference", "allowed")


def keep_result(
    lake: Lake, workflow: str, name: str, rows: Sequence[Mapping[str, Any]], *, run_id: str, agrees: bool
) -> str:
    """Write what one evaluation found; returns its key. A row a comparison, values as text."""
    import polars as pl

    at = utc_now()
    shape: dict[str, Any] = {
        "evaluated_at": pl.Datetime("us", "UTC"),
        "run_id": pl.String,
        "agrees": pl.Boolean,
        **dict.fromkeys(_COLUMNS, pl.String),
        "this_agrees": pl.Boolean,
    }
    told = [
        {"evaluated_at": at, "run_id": run_id, "agrees": agrees, **{one: row.get(one, "") for one in _COLUMNS}, "this_agrees": row["agrees"] == "yes"}
        for row in rows
    ]  # fmt: skip
    buffer = io.BytesIO()
    pl.DataFrame(told, schema=shape).write_parquet(buffer)
    key = reconciliation_result(workflow, name, at, uuid4().hex)
    lake.write(key, buffer.getvalue())
    return key


def reconciliations(lake: Lake, workflow: str) -> list[str]:
    """Names of a workflow's reconciliations that were ever evaluated."""
    return lake.folders(reconciliation_results(workflow))


def scan_results(lake: Lake, workflow: str, name: str, last: int | None = None) -> pl.LazyFrame | None:
    """Everything a reconciliation ever found, or in its last evaluations; None where it was never evaluated."""
    found = sorted(one.key for one in lake.files(reconciliation_results(workflow, name)))
    return scan_all(lake, found[-last:] if last else found) if found else None


def require_results(lake: Lake, workflow: str, name: str) -> pl.LazyFrame:
    """Everything a reconciliation ever found.

    Raises:
        MissingTableError: it was never evaluated.
    """
    found = scan_results(lake, workflow, name)
    if found is None:
        raise MissingTableError(f"{workflow}.{name}", f"reconcile_{name}")
    return found
