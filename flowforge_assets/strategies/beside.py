"""What the rows of a batch are compared with by rules about rows beside each other, by strategy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowforge_assets.strategies.extracts import extract_of
from flowforge_checks.rules import Rows
from flowforge_resources.duck import literal, quote

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_assets.table_spec import TableSpec
    from flowforge_checks.rules import SetRule


def rows_beside(spec: TableSpec, current: Path | None) -> Rows:
    """Of `full_refresh` the other rows of the extract; else all rows of the batch, and the published ones.

    `current`: local file of the version the batch is merged into.
    """
    order = ", ".join([*(f"{quote(name)} ASC NULLS FIRST" for name in spec.sequence_by), "_rid"])
    if spec.strategy.kind == "full_refresh":
        return Rows("", order, spec.keys, within=extract_of(spec))
    published = f"read_parquet({literal(str(current))})" if current else None
    return Rows("", order, spec.keys, published)


def problem(spec: TableSpec, rule: SetRule) -> tuple[str, str] | None:
    """Why rows cannot be taken out by a rule about rows beside each other, and what to write instead; None where they can."""
    instead = "Write `action: keep` to count such rows, or `action: block`."
    if spec.strategy.kind == "scd2" or spec.replays_events:
        return "rows are events of their key here, and one taken out would change what the others mean", instead
    if spec.partition_by is not None:
        return "the table is in partitions, and a batch sees only those it touches", instead
    if spec.strategy.kind != "full_refresh" and rule.keep_row == "last":
        return (
            f"with `strategy: {spec.strategy.kind}` a row that is published already cannot be taken out for a later one",
            "Write `keep_row: first`, or `strategy: full_refresh`.",
        )
    return None
