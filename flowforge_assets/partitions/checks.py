"""Checks of a partitioned table, told by partition: in which ones the rows lie that break a rule."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flowforge_checks.gate import of_partition
from flowforge_checks.results import as_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowforge_assets.table_spec import TableSpec
    from flowforge_checks.gate import Gate, Statement
    from flowforge_checks.results import Outcome

# As many rows as the UI shows of a table without a click.
MOST_SHOWN = 50


def by_partition(spec: TableSpec, gate: Gate, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The outcomes of the row rules with a table `partitions`: partition and rows that break it, most first."""
    broken = [outcome.check for outcome in outcomes if outcome.rows_broken]
    if not broken:
        return list(outcomes)
    counts = gate.broken_by(spec.partition_key, broken)
    said = {
        check: [{"partition": name, "rows_broken": rows} for name, rows in found[:MOST_SHOWN]]
        for check, found in counts.items()
    }
    return [
        replace(outcome, metadata={**outcome.metadata, "partitions": as_table(said[outcome.check])})
        if said.get(outcome.check)
        else outcome
        for outcome in outcomes
    ]


def unlisted(spec: TableSpec) -> list[Statement]:
    """The statement that a row is in one of the declared partitions, where other values have none."""
    by = spec.partition_by
    broken = by.unlisted(spec.root.id.landing) if by else None
    return [of_partition(by.column, broken)] if by and broken else []
