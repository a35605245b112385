"""What `flowforge compact` says; what it does is in `flowforge_resources.compaction`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowforge_assets.catalog import declared_workflows, find_table, find_workflow, require_table
from flowforge_resources.compaction import Compacted, compact
from flowforge_resources.lake import Lake
from flowforge_resources.layout import TableId

if TYPE_CHECKING:
    from flowforge_resources.compaction import Group

COMPACTED_BY = "flowforge compact"


@dataclass(frozen=True)
class CompactedTables:
    """What was compacted, or would be."""

    done: Compacted

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "dry_run": self.done.dry_run,
            "groups": [_as_dict(one) for one in self.done.groups],
            "notes": self.done.notes,
        }

    def __str__(self) -> str:
        verb = "would become one" if self.done.dry_run else "became"
        lines = [
            f"{one.table}: {len(one.files)} files ({one.size_bytes:,} bytes) {verb} {one.key}".rstrip()
            for one in self.done.groups
        ]
        return "\n".join([*(lines or ["nothing to compact"]), *self.done.notes])


def _as_dict(group: Group) -> dict[str, Any]:
    return {
        "table": str(group.table),
        "files": [file.key for file in group.files],
        "size_bytes": group.size_bytes,
        "key": group.key or None,
        "size_bytes_after": group.size_bytes_after,
    }


def compact_tables(table: str | None, workflow: str | None, *, dry_run: bool) -> CompactedTables:
    """Compact one table's bronze, or that of all tables of a workflow, or of all.

    Raises:
        UnknownNameError: no such workflow or table.
    """
    known = declared_workflows()
    if table is not None:
        wanted = [find_table(table, workflow, known)]
        require_table(known[wanted[0].workflow], wanted[0].name)
    else:
        chosen = [find_workflow(workflow, known)] if workflow else list(known.values())
        wanted = [TableId(one.name, name) for one in chosen for name in one.tables]
    return CompactedTables(compact(Lake(), wanted, run_id=COMPACTED_BY, dry_run=dry_run))
