"""Earlier versions of a partitioned table: each is a kept manifest, and the objects that it names.

Belongs here: finding them, and letting go of those whose time is over. A version shares the objects
of partitions that it did not change with its neighbours, so an object goes with the last version that names it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from flowforge_resources.layout import utc_now
from flowforge_resources.partitioned import objects_of, read_kept, read_manifest
from flowforge_resources.side_by_side import side_by_side

if TYPE_CHECKING:
    from flowforge_resources.lake import Lake, StoredObject
    from flowforge_resources.layout import TableId
    from flowforge_resources.partitioned import Manifest
    from flowforge_resources.retention import Retention

_KEPT = re.compile(r"snapshot_(\d{8}_\d{6}_\d{6})_[0-9a-f]{8}\.json")


def kept_manifests(lake: Lake, table: TableId) -> list[Manifest]:
    """The published version and the earlier ones, newest first; none of a table that is not in partitions."""
    now = read_manifest(lake, table)
    if now is None:
        return []
    published = [one for one in _read_all(lake, lake.files(table.manifests)) if one.version < now.version]
    return [now, *sorted(published, key=lambda one: one.version, reverse=True)]


def let_go_of_versions(lake: Lake, table: TableId, retention: Retention, now: datetime | None = None) -> list[str]:
    """Remove the versions whose time is over, with the objects no other version names; returns their keys."""
    stored = {moment: one for one in lake.files(table.manifests) if (moment := _moment(one)) is not None}
    newest_first = sorted(stored, reverse=True)
    at = now or utc_now()
    gone = [
        stored[moment]
        for newer, (moment, replaced) in enumerate(zip(newest_first[1:], newest_first, strict=False))
        if retention.lets_go(newer, at - replaced)
    ]
    if not gone:
        return []
    published = read_manifest(lake, table)
    kept = _read_all(lake, [one for one in stored.values() if one not in gone])
    named = {key for one in (*kept, *([published] if published else [])) for key in objects_of(one).values()}
    lost = {key for one in _read_all(lake, gone) for key in objects_of(one).values()} - named
    side_by_side(lake.delete, sorted(lost))
    for one in gone:
        lake.delete(one.key)
    return sorted([*lost, *(one.key for one in gone)])


def _moment(stored: StoredObject) -> datetime | None:
    named = _KEPT.fullmatch(stored.key.rsplit("/", 1)[-1])
    return datetime.strptime(named[1], "%Y%m%d_%H%M%S_%f").replace(tzinfo=UTC) if named else None


def _read_all(lake: Lake, stored: list[StoredObject]) -> list[Manifest]:
    return [one for one in side_by_side(lambda found: read_kept(lake, found), stored) if one is not None]
