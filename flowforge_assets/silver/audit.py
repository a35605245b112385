"""What is asked of the whole silver table before it is published: the rules about a table, and unique surrogate keys.

Does not belong here: what is asked of each row (`flowforge_checks.gate`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowforge_assets.partitions.checks import sets_by_partition
from flowforge_assets.preview import shown_columns
from flowforge_assets.silver.partitions import PartitionedBatch
from flowforge_assets.silver.versions_before import rows_of_version, to_compare_with
from flowforge_checks.rules import Judged
from flowforge_checks.table_judge import judge, rows_of_file
from flowforge_checks.uniqueness import keys_sharing, rows_sharing
from flowforge_resources.errors import SurrogateKeyCollisionError
from flowforge_resources.history import versions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    import duckdb

    from flowforge_assets.silver.batch import Batch
    from flowforge_assets.table_spec import TableSpec
    from flowforge_checks.results import Outcome
    from flowforge_resources.lake import Lake
    from flowforge_resources.scratch import Scratch


def refuse_collisions(connection: duckdb.DuckDBPyConnection, spec: TableSpec, table: Path, rows: int) -> None:
    """Natural keys differ from row to row (with history, from version to version), and so must surrogate keys."""
    if not spec.keys:
        return
    unique = spec.strategy.version_key if spec.strategy.keeps_history else spec.surrogate_key
    if double := rows_sharing(connection, table, [unique], rows):
        raise SurrogateKeyCollisionError(str(spec.id), unique, double)
    if spec.strategy.keeps_history and (double := keys_sharing(connection, table, spec.keys, spec.surrogate_key)):
        raise SurrogateKeyCollisionError(str(spec.id), spec.surrogate_key, double)


@dataclass(frozen=True)
class TableRules:
    """What is asked of a table as a whole, and what has to be at hand for it."""

    connection: duckdb.DuckDBPyConnection
    lake: Lake
    spec: TableSpec
    batch: Batch
    scratch: Scratch
    reads: Mapping[str, str]
    began: datetime

    def of(self, table: Path | PartitionedBatch) -> list[Outcome]:
        """The outcome of each rule about a table that is about to be published."""
        rules = [rule for rule in self.spec.rules if rule.judges == "table"]
        if not rules:
            return []
        whole = table.whole_table(self.connection) if isinstance(table, PartitionedBatch) else rows_of_file(table)
        most = max(rule.versions_compared for rule in rules) if self.batch.published is not None else 0
        before = self._published(table) if most else None
        shown = [name for name in shown_columns(self.spec) if name not in self.spec.pii]
        judged = Judged(whole, self.began, self.reads, before, self._earlier(most - 1) if before else ())
        outcomes = judge(self.connection, rules, judged, shown)
        if isinstance(table, PartitionedBatch):
            return sets_by_partition(self.connection, self.spec, rules, judged, outcomes)
        return outcomes

    def _published(self, table: Path | PartitionedBatch) -> str | None:
        """SQL of the rows that are published so far."""
        if isinstance(table, PartitionedBatch):
            return table.published_table(self.connection)
        return rows_of_file(self.lake.stage_in(self.spec.id.current, self.scratch))

    def _earlier(self, most: int) -> tuple[str, ...]:
        """SQL of the rows of so many versions before the published one, as far as they are kept."""
        if most < 1:
            return ()
        _, *earlier = to_compare_with(versions(self.lake, self.spec.id), most + 1)
        return tuple(rows_of_version(self.lake, self.spec.id, one, self.scratch) for one in earlier)
