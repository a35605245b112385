"""Checks of a partitioned table, told by partition: in which ones the rows lie that break a rule."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flowforge_assets.transforms.cast import OPERATION
from flowforge_checks.results import as_table
from flowforge_checks.rules import SetRule
from flowforge_checks.statements import of_partition

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from flowforge_assets.table_spec import TableSpec
    from flowforge_checks.gate import Gate
    from flowforge_checks.results import Outcome
    from flowforge_checks.rules import Judged, Rule
    from flowforge_checks.statements import Statement

# As many rows as the UI shows of a table without a click.
MOST_SHOWN = 50


def by_partition(spec: TableSpec, gate: Gate, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The outcomes of the row rules with a table `partitions`: partition and rows that break it, most first."""
    broken = [outcome.check for outcome in outcomes if outcome.rows_broken]
    if not broken:
        return list(outcomes)
    counts = gate.broken_by(spec.partition_key, broken)
    return [_told(outcome, counts.get(outcome.check, ())) for outcome in outcomes]


def sets_by_partition(
    connection: duckdb.DuckDBPyConnection,
    spec: TableSpec,
    rules: Sequence[Rule],
    judged: Judged,
    outcomes: Sequence[Outcome],
) -> list[Outcome]:
    """The same of rules about rows beside each other, asked of the whole table; their groups may reach over partitions."""
    by_name = {rule.check_name: rule for rule in rules if isinstance(rule, SetRule)}
    told = []
    for outcome in outcomes:
        rule = by_name.get(outcome.check)
        found: Sequence[tuple[str, int]] = ()
        if rule is not None and outcome.rows_broken:
            rows = f"SELECT {spec.partition_key} AS name, count(*) AS n FROM ({rule.rows_breaking_on(connection, judged)}) GROUP BY ALL"
            found = connection.execute(f"{rows} ORDER BY n DESC, name LIMIT {MOST_SHOWN}").fetchall()
        told.append(_told(outcome, found))
    return told


def _told(outcome: Outcome, found: Sequence[tuple[str, int]]) -> Outcome:
    if not found:
        return outcome
    rows = [{"partition": name, "rows_broken": count} for name, count in found[:MOST_SHOWN]]
    return replace(outcome, metadata={**outcome.metadata, "partitions": as_table(rows)})


def unlisted(spec: TableSpec) -> list[Statement]:
    """The statement that a row with values is in one of the declared partitions, where other values have none."""
    by = spec.partition_by
    broken = by.unlisted(spec.root.id.landing) if by else None
    if not by or not broken:
        return []
    return [of_partition(by.column, f"{OPERATION} = 0 AND ({broken})" if spec.strategy.marks_operations else broken)]
