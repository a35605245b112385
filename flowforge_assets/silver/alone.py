"""Rules asked of a silver table as it is published: what a check that is started alone says.

Nothing is published, and what waits to be taken in is not looked at.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flowforge_assets.preview import shown_columns
from flowforge_assets.silver.partitions import PartitionedBatch
from flowforge_assets.silver.stage import referenced
from flowforge_checks.rules import Judged
from flowforge_checks.statements import relations
from flowforge_checks.table_judge import judge, rows_of_file
from flowforge_resources.duck import connect

if TYPE_CHECKING:
    from datetime import datetime

    from flowforge_assets.silver.batch import Batch
    from flowforge_assets.table_spec import TableSpec
    from flowforge_checks.results import Outcome
    from flowforge_checks.rules import Rule
    from flowforge_resources.lake import Lake
    from flowforge_resources.published import Published


def judge_published(lake: Lake, spec: TableSpec, batch: Batch, published: Published, began: datetime) -> list[Outcome]:
    """The outcome of every rule that a published table can be asked.

    Not those that compare it with the version before, nor those about columns that silver does not have.
    """
    rules = [rule for rule in spec.rules if not rule.compares and _is_about(rule, spec)]
    if not rules:
        return []
    with lake.scratch() as scratch, connect(scratch.root) as connection:
        if spec.partition_by:
            rows = PartitionedBatch(lake, spec, batch.manifest, scratch, anew=False).published_table(connection)
        else:
            rows = rows_of_file(lake.stage_in(spec.id.current, scratch))
        if rows is None:
            return []
        judged = Judged(rows, began, relations(referenced(lake, spec, scratch)), None)
        shown = [name for name in shown_columns(spec) if name not in spec.pii]
        return [_as_published(one, published) for one in judge(connection, rules, judged, shown)]


def _is_about(rule: Rule, spec: TableSpec) -> bool:
    gone = set(spec.strategy.except_columns)
    return not gone or (bool(rule.columns_read) and not rule.where and gone.isdisjoint(rule.columns_read))


def _as_published(outcome: Outcome, published: Published) -> Outcome:
    """What is broken in a published table is there, whatever the rule does with rows on their way in."""
    rows, broken = outcome.metadata.get("rows_checked"), outcome.rows_broken
    said = f"{broken:,} of {rows:,} published rows break it." if broken and rows is not None else outcome.description
    judged = {"judged": f"the table as published at {published.facts['published_at']}"}
    return replace(outcome, description=said, metadata={**outcome.metadata, **judged})
