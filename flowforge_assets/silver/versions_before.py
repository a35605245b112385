"""The rows of a silver table's earlier versions, for rules that compare with them.

Belongs here: which versions a new one is compared with, and their rows as SQL. Does not: the rules.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from flowforge_resources.duck import literal
from flowforge_resources.history import ROLLED_BACK
from flowforge_resources.partitioned import find_manifest, objects_of, stage_in_partitions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from flowforge_resources.history import Version
    from flowforge_resources.lake import Lake
    from flowforge_resources.layout import TableId
    from flowforge_resources.scratch import Scratch


def rows_of_version(lake: Lake, table: TableId, version: Version, scratch: Scratch) -> str:
    """SQL of a version's rows, fetched."""
    cut = find_manifest(lake, table, version.published.nonce)
    path: Path = stage_in_partitions(lake, objects_of(cut), scratch) if cut else lake.stage_in(version.key, scratch)
    return f"(SELECT * FROM read_parquet({literal(str(path))}, union_by_name = true))"


def to_compare_with(found: Sequence[Version], most: int) -> list[Version]:
    """The newest so many of versions, newest first: without those that a rollback took back.

    The version that a rollback made stands for the one it went back to.
    """
    return list(islice(_standing(found), most))


def _standing(found: Sequence[Version]) -> Iterator[Version]:
    stands_for: int | None = None
    for one in found:
        if stands_for is not None and one.number > stands_for:
            continue
        if one.number != stands_for:
            yield one
        stands_for = int(one.facts["rolled_back_to"]) if one.facts.get("cause") == ROLLED_BACK else None
