"""Landing files whose rows are published in silver are moved away or deleted, where their table says so.

Belongs here: which may go, and how they go so that nothing is lost. Does not: when (the bronze step, at its end).

A file may go when the ledger holds it with the content it has now, silver covers the entry that took it, and it is old
enough. A kill between copy and delete is harmless: the next run finds the copy, and goes on. An upload that replaces a
file in the moment between the last look at it and its deletion is deleted with it, because stores cannot delete by
content; declare `clean_source_after_days`, or upload under new names.
"""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from flowforge_resources.frames import as_objects
from flowforge_resources.io_managers import published_silver
from flowforge_resources.ledger import IDENTICAL
from flowforge_resources.ledger_checkpoint import TAKEN
from flowforge_resources.side_by_side import side_by_side
from flowforge_resources.silver_io_manager import covered_bronze_version

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import polars as pl

    from flowforge_assets.table_spec import TableSpec
    from flowforge_resources.lake import Lake, StoredObject

# So that a first run over a long history ends; the rest goes with the next ones.
MOST_A_RUN = 5_000


def covered_version(lake: Lake, spec: TableSpec) -> int:
    """Up to which ledger version silver holds the rows; 0 where nothing is published."""
    published = published_silver(lake, spec.id)
    return 0 if published is None else covered_bronze_version(lake, spec.id, published)


def done_with(spec: TableSpec, judged: pl.DataFrame, covered: int, now: datetime) -> list[StoredObject]:
    """The objects of a judged listing that may go."""
    import polars as pl

    if not covered:
        return []
    before = (now - timedelta(days=spec.landing.clean_source_after_days)).isoformat()
    held = pl.col("outcome").is_in([TAKEN, IDENTICAL]) & (pl.col("version") <= covered)
    return as_objects(judged.filter(held & (pl.col("committed_at") <= before)))


def clean(lake: Lake, spec: TableSpec, done: Sequence[StoredObject]) -> int:
    """Move or delete what may go, up to the limit of a run; returns how many went."""
    return sum(side_by_side(lambda found: _put_away(lake, spec, found), done[:MOST_A_RUN]))


def _put_away(lake: Lake, spec: TableSpec, found: StoredObject) -> bool:
    if spec.landing.clean_source == "move":
        _keep_copy(lake, spec, found)
    if not _is_still(lake, found):
        return False
    lake.delete(found.key)
    return True


def _keep_copy(lake: Lake, spec: TableSpec, found: StoredObject) -> None:
    """Copy to the archive; where another file has the name there, under one that says which content it is."""
    name = PurePosixPath(spec.id.landing_archive + found.key.removeprefix(spec.id.landing))
    other = name.with_name(f"{name.stem}.{sha256(found.etag.encode()).hexdigest()[:8]}{name.suffix}")
    there = lake.head(str(name))
    if there is None:
        lake.copy(found.key, str(name))
    elif (there.etag, there.size_bytes) != (found.etag, found.size_bytes):
        lake.copy(found.key, str(other))


def _is_still(lake: Lake, found: StoredObject) -> bool:
    now = lake.head(found.key)
    return now is not None and (now.etag, now.size_bytes) == (found.etag, found.size_bytes)
