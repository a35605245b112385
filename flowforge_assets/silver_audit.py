"""What is asked of the whole silver table before it is published: the rules about a table, and unique surrogate keys.

Does not belong here: what is asked of each row (`flowforge_checks.gate`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowforge_assets.silver_partitions import PartitionedBatch
from flowforge_checks.results import Outcome
from flowforge_checks.uniqueness import keys_sharing, rows_sharing
from flowforge_resources.duck import literal, one_row
from flowforge_resources.errors import SurrogateKeyCollisionError

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

    from flowforge_assets.table_spec import TableSpec
    from flowforge_checks.rules import Rule


def refuse_collisions(connection: duckdb.DuckDBPyConnection, spec: TableSpec, table: Path, rows: int) -> None:
    """Natural keys differ from row to row (with history, from version to version), and so must surrogate keys."""
    if not spec.keys:
        return
    unique = spec.strategy.version_key if spec.strategy.keeps_history else spec.surrogate_key
    if double := rows_sharing(connection, table, [unique], rows):
        raise SurrogateKeyCollisionError(str(spec.id), unique, double)
    if spec.strategy.keeps_history and (double := keys_sharing(connection, table, spec.keys, spec.surrogate_key)):
        raise SurrogateKeyCollisionError(str(spec.id), spec.surrogate_key, double)


def table_rules(
    connection: duckdb.DuckDBPyConnection, spec: TableSpec, table: Path | PartitionedBatch
) -> list[Outcome]:
    """The outcome of each rule about the whole table."""
    rules = [rule for rule in spec.rules if rule.judges == "table"]
    if not rules:
        return []
    if isinstance(table, PartitionedBatch):
        whole = table.whole_table(connection)
    else:
        whole = f"read_parquet({literal(str(table))})"
    return [_judge_table(connection, rule, whole) for rule in rules]


def _judge_table(connection: duckdb.DuckDBPyConnection, rule: Rule, table: str) -> Outcome:
    """A rule about the whole table, asked of the version that is about to be published."""
    query = rule.valid({}).format(table=table)
    broken = int(one_row(connection, query)[0])
    return Outcome(
        rule.check_name,
        passed=broken == 0,
        warns=rule.severity == "warn",
        blocks=rule.effective_action == "block",
        rows_broken=broken,
        description=f"{broken} rows: {rule.message}." if broken else None,
        metadata={"rows_broken": broken, "action": rule.effective_action},
    )
