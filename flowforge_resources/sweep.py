"""Removing what no table needs: bronze of killed runs and bronze that was compacted, old snapshots, states of no version, dead tasks, lost uploads.

Nothing that a living run is about to commit is lost. A bronze file is fenced in the ledger before it goes, so that a run
which was only slow is told when it commits, and starts again. A state that no version names is left alone until it is
older than any run may take (`older_than`); so are files whose rows were compacted. A task folder goes when nobody holds its lock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from flowforge_resources.errors import LakeAccessError
from flowforge_resources.fences import fence
from flowforge_resources.history import moment_of, versions
from flowforge_resources.layout import utc_now
from flowforge_resources.ledger import read_ledger
from flowforge_resources.published import read_published
from flowforge_resources.retention import expired
from flowforge_resources.scratch import sweep_dead_tasks
from flowforge_resources.uploads import Uploads

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from flowforge_resources.history import Versioned
    from flowforge_resources.lake import Lake, StoredObject
    from flowforge_resources.layout import TableId
    from flowforge_resources.retention import Retention

# Longer than any run may take: `run_monitoring` ends runs after six hours.
OLDER_THAN = timedelta(hours=24)
ORPHAN, COMPACTED = "bronze of a killed run", "bronze that was compacted"
SNAPSHOT, STATE = "snapshot past its time", "state of no version"
TASK, UPLOAD = "folder of a dead task", "unfinished upload"
KINDS = (ORPHAN, COMPACTED, SNAPSHOT, STATE, TASK, UPLOAD)


@dataclass(frozen=True)
class Removed:
    """One thing that went; `size_bytes` is 0 where the store does not say."""

    kind: str
    name: str
    size_bytes: int = 0


@dataclass
class Swept:
    """What a sweep removed, or would remove, and what it could not look at."""

    dry_run: bool
    removed: list[Removed] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def of_kind(self, kind: str) -> list[Removed]:
        """What went of one kind."""
        return [one for one in self.removed if one.kind == kind]


def sweep(
    lake: Lake,
    tables: Mapping[TableId, Retention],
    *,
    run_id: str,
    older_than: timedelta = OLDER_THAN,
    dry_run: bool = False,
) -> Swept:
    """Sweep some tables, this machine's scratch folder, and the lake's unfinished uploads.

    Args:
        lake: the lake.
        tables: which tables, and how long each keeps its versions.
        run_id: who, as the ledgers remember it.
        older_than: what is younger is left alone, because a run may be about to commit it.
        dry_run: only say what would go.
    """
    swept = Swept(dry_run)
    for table, retention in tables.items():
        swept.removed += _orphans(lake, table, run_id, older_than, dry_run=dry_run)
        swept.removed += _delete(lake, COMPACTED, _left_bronze(lake, table, older_than), dry_run=dry_run)
        swept.removed += _delete(lake, SNAPSHOT, _old_snapshots(lake, table, retention), dry_run=dry_run)
        swept.removed += _delete(lake, STATE, _nameless_states(lake, table, older_than), dry_run=dry_run)
    dead = sweep_dead_tasks(lake.scratch_root, dry_run=dry_run)
    swept.removed += [Removed(TASK, path, size_bytes) for path, size_bytes in dead]
    try:
        swept.removed += _lost_uploads(lake, older_than, dry_run=dry_run)
    except LakeAccessError as error:
        swept.notes.append(f"Unfinished uploads were left alone: {error}")
    return swept


def _orphans(lake: Lake, table: TableId, run_id: str, older_than: timedelta, *, dry_run: bool) -> list[Removed]:
    """Bronze files that no ledger entry knows, and those a run had fenced and did not come to remove."""
    stored = {found.key: found for found in lake.files(table.bronze) if found.key.endswith(".parquet")}
    if not stored:
        return []
    ledger = read_ledger(lake, table)
    fenced = set(stored) & ledger.fenced
    lost = {key for key in set(stored) - ledger.known_files if _is_old(stored[key], older_than)}
    # Where a run commits at this moment the file may be its own: it waits for the next sweep.
    if lost and not dry_run and not fence(lake, ledger, lost, run_id):
        lost = set()
    return _delete(lake, ORPHAN, (stored[key] for key in sorted(fenced | lost)), dry_run=dry_run)


def _left_bronze(lake: Lake, table: TableId, older_than: timedelta) -> list[StoredObject]:
    """Files whose rows lie in a compacted one, since so long that no reader can be at work who was told of them."""
    left = read_ledger(lake, table).left_files
    past = {key for key, since in left.items() if utc_now() - datetime.fromisoformat(since) >= older_than}
    return [found for found in lake.files(table.bronze) if found.key in past] if past else []


def _old_snapshots(lake: Lake, table: Versioned, retention: Retention) -> list[StoredObject]:
    published = read_published(lake, table.current)
    return expired(lake, table, retention, moment_of(published)) if published else []


def _nameless_states(lake: Lake, table: TableId, older_than: timedelta) -> list[StoredObject]:
    """States that no version names. Listed before the versions are read: one that is published meanwhile has its name."""
    stored = [found for found in lake.files(table.states) if _is_old(found, older_than)]
    named = {version.facts.get("state") for version in versions(lake, table)} if stored else set()
    return [found for found in stored if found.key not in named]


def _lost_uploads(lake: Lake, older_than: timedelta, *, dry_run: bool) -> Iterator[Removed]:
    uploads = Uploads(lake)
    for upload in uploads.begun_before(utc_now() - older_than):
        if not dry_run:
            uploads.abort(upload)
        yield Removed(UPLOAD, upload.key)


def _is_old(found: StoredObject, older_than: timedelta) -> bool:
    return utc_now() - found.last_modified >= older_than


def _delete(lake: Lake, kind: str, found: Iterable[StoredObject], *, dry_run: bool) -> list[Removed]:
    removed = []
    for one in found:
        if not dry_run:
            lake.delete(one.key)
        removed.append(Removed(kind, one.key, one.size_bytes))
    return removed
