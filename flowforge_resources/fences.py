"""Bronze files that no ledger entry knows: fenced by an entry, then removed.

A killed run's orphan is removed by the next run, which first writes an entry that fences it. A run that was slow, not
dead, finds its file fenced when its own commit clashes, and starts again too. A fenced name is never used again, so
that whoever removes the file late, or twice, removes no other run's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowforge_resources.layout import utc_now
from flowforge_resources.ledger import LedgerEntry, commit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowforge_resources.lake import Lake
    from flowforge_resources.ledger import Ledger


def orphans(lake: Lake, ledger: Ledger) -> list[str]:
    """Bronze files that no entry knows: left by killed runs, or not yet committed by a living one."""
    return sorted(_bronze_files(lake, ledger) - ledger.known_files)


def delete_fenced(lake: Lake, names: Iterable[str]) -> None:
    """Remove orphans whose fence is committed."""
    for name in names:
        lake.delete(name)


def fence_orphans(lake: Lake, ledger: Ledger, run_id: str) -> list[str]:
    """Commit a fence around every orphan; returns what can be removed, with what an earlier fencer left.

    Where another run takes the number first nothing new is fenced: the orphan may just have become that run's.
    """
    stored = _bronze_files(lake, ledger)
    if not stored:
        return []
    left, found = stored & ledger.fenced, stored - ledger.known_files
    if found and fence(lake, ledger, found, run_id):
        left |= found
    return sorted(left)


def fence(lake: Lake, ledger: Ledger, names: Iterable[str], run_id: str) -> bool:
    """Commit that some names may be removed and are never used again; False where another run's entry came first."""
    fenced = tuple(sorted(names))
    entry = LedgerEntry(ledger.version + 1, utc_now().isoformat(), run_id, None, 0, fenced=fenced)
    return commit(lake, ledger.table, entry)


def _bronze_files(lake: Lake, ledger: Ledger) -> set[str]:
    """Those of the table's own folder: the ledger's checkpoints, in a folder of their own, are none."""
    return {stored.key for stored in lake.files(ledger.table.bronze) if stored.key.endswith(".parquet")}
