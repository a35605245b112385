"""Orphans of a table that was built in part: as a full rebuild would count them.

Where orphans were dropped or moved, the table shows them no more: the numbers of such a partition are remembered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowforge_assets.gold.input_prints import partition_key
from flowforge_assets.gold.orphans import Orphans, orphan_counts
from flowforge_resources.duck import literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import duckdb

    from flowforge_assets.gold.incremental import Plan
    from flowforge_assets.gold.model_spec import ModelSpec


def judged_orphans(
    connection: duckdb.DuckDBPyConnection,
    spec: ModelSpec,
    plan: Plan,
    target: Path,
    files: Mapping[str, Path],
    *,
    whole: bool,
) -> tuple[list[Orphans], Mapping[str, Any]]:
    """The orphans of the whole table, and the memory with their numbers by partition."""
    key = partition_key(plan.declared.output, plan.declared.every)
    counts = ", ".join(sql for one in spec.foreign_keys for sql in orphan_counts(one, files))
    source = f"read_parquet({literal(str(target))})"
    found = connection.execute(f"SELECT {key}, count(*), {counts} FROM {source} GROUP BY ALL").fetchall()
    kept = [] if whole else plan.kept
    known = {row[0] for row in kept}
    fresh = [list(row) for row in found if row[0] not in known]
    width = 1 + 2 * len(spec.foreign_keys)
    totals = [sum(row[1 + place] for row in (*kept, *fresh)) for place in range(width)]
    orphans = [
        Orphans(one, totals[0], totals[1 + 2 * place], totals[2 + 2 * place])
        for place, one in enumerate(spec.foreign_keys)
    ]
    changed = [1 + 1 + 2 * place for place, one in enumerate(spec.foreign_keys) if one.moves_orphans]
    judged = [*kept, *(row for row in fresh if any(row[place] for place in changed))]
    return orphans, {**plan.memory, "judged": judged} if judged and plan.memory else plan.memory


def remembers_orphans(spec: ModelSpec) -> bool:
    """Whether the table does not show any more which of its rows were orphans."""
    return any(one.moves_orphans for one in spec.foreign_keys)
