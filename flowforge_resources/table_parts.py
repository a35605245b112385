"""A published table as the objects it consists of, each known by a name that never stands for other content."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flowforge_resources.errors import MissingTableError
from flowforge_resources.io_managers import SilverTable
from flowforge_resources.partitioned import objects_of, read_manifest, stage_in_partitions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from flowforge_resources.io_managers import StoredTable
    from flowforge_resources.lake import Lake
    from flowforge_resources.scratch import Scratch


@dataclass
class TableParts:
    """One version of a table: its nonce, and its parts by name.

    A table in one piece has one part, named by its nonce and fetched already; one in partitions has an object for each,
    named by its key, which is written once, and fetched when asked for.
    """

    lake: Lake
    nonce: str
    objects: Mapping[str, str]
    fetched: dict[str, Path] = field(default_factory=dict)

    def names(self) -> list[str]:
        """Names of all parts."""
        return sorted({*self.objects, *self.fetched})

    def fetch(self, names: Iterable[str], scratch: Scratch) -> dict[str, Path]:
        """Local files of some parts, by name."""
        wanted = sorted(names)
        new = {name: self.objects[name] for name in wanted if name not in self.fetched}
        if new:
            pattern = stage_in_partitions(self.lake, new, scratch)
            self.fetched |= dict(zip(new, sorted(pattern.parent.glob(pattern.name)), strict=True))
        return {name: self.fetched[name] for name in wanted}


def table_parts(lake: Lake, table: StoredTable, scratch: Scratch) -> TableParts:
    """The parts of the version that is published now.

    Raises:
        MissingTableError: nothing is.
    """
    published = table.require()
    if not isinstance(table, SilverTable) or published.object.key == table.key:
        path, nonce = table.stage_in_version(scratch)
        return TableParts(lake, nonce or published.nonce, {}, {nonce or published.nonce: path})
    manifest = read_manifest(lake, table.table)
    if manifest is None:
        raise MissingTableError(table.name, table.asset)
    return TableParts(lake, manifest.nonce, {key: key for key in objects_of(manifest).values()})
