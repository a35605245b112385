"""What was ingested, recorded on the lake beside the bronze data: the one moment at which a bronze run becomes true.

A run first puts its bronze file, then creates the next numbered ledger entry, exclusively. Before the entry exists the
file is an orphan that no reader counts; afterwards the file and its landing objects are taken, for ever. Two runs that
race for one number: one creates it, the other is told, reads what it says and starts again. So a file is ingested once
whatever is killed, on every store that can create exclusively.

A killed run's orphan is removed by the next run, which first writes an entry that fences it. A run that was slow, not
dead, finds its file fenced when its own commit clashes, and starts again too. A fenced name is never used again, so
that whoever removes the file late, or twice, removes no other run's.

Losing the Dagster instance loses nothing of this.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from flowforge_resources.layout import utc_now

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowforge_resources.lake import Lake, StoredObject
    from flowforge_resources.layout import TableId


@dataclass(frozen=True)
class TakenFile:
    """One landing object as it was ingested. `sha256` is of the bytes that landed."""

    key: str
    etag: str
    size_bytes: int
    last_modified: str
    sha256: str
    rows: int


@dataclass(frozen=True)
class LedgerEntry:
    """One commit: a bronze file with the landing objects it holds, or a fence around orphans."""

    version: int
    committed_at: str
    run_id: str
    bronze_file: str | None
    rows: int
    files: tuple[TakenFile, ...] = ()
    fenced: tuple[str, ...] = ()

    @classmethod
    def parse(cls, content: bytes) -> LedgerEntry:
        """Read an entry as `to_json` wrote it."""
        raw = json.loads(content)
        files = tuple(TakenFile(**file) for file in raw.pop("files"))
        return cls(**{**raw, "files": files, "fenced": tuple(raw["fenced"])})

    def to_json(self) -> bytes:
        """The entry as it stands on the lake."""
        return json.dumps(asdict(self), indent=1).encode()


@dataclass
class Ledger:
    """All entries of one table, in order, as read at one moment."""

    table: TableId
    entries: list[LedgerEntry] = field(default_factory=list)

    @property
    def version(self) -> int:
        """Number of the newest entry; 0 for a table that was never ingested."""
        return self.entries[-1].version if self.entries else 0

    @property
    def taken(self) -> dict[str, TakenFile]:
        """The newest ingested content of every landing key."""
        return {file.key: file for entry in self.entries for file in entry.files}

    @property
    def fenced(self) -> set[str]:
        """Every name of a bronze file that may be removed and never used again."""
        return {name for entry in self.entries for name in entry.fenced}

    @property
    def known_files(self) -> set[str]:
        """Every bronze file that is committed or fenced."""
        return self.fenced | {entry.bronze_file for entry in self.entries if entry.bronze_file}

    def is_taken(self, found: StoredObject) -> bool:
        """Whether this very object was ingested; the same key with another ETag or size is a new object."""
        taken = self.taken.get(found.key)
        return taken is not None and (taken.etag, taken.size_bytes) == (found.etag, found.size_bytes)

    def data_after(self, version: int) -> list[LedgerEntry]:
        """Entries with bronze files that a reader who has seen `version` has not seen, in order."""
        return [entry for entry in self.entries if entry.version > version and entry.bronze_file]


def read_ledger(lake: Lake, table: TableId, *, after: int = 0) -> Ledger:
    """Read the entries later than version `after`. One listing, and one small read an entry."""
    offset = table.ledger_entry(after) if after else None
    keys = sorted(found.key for found in lake.objects(table.ledger, after=offset))
    contents = (lake.read(key) for key in keys)
    return Ledger(table, [LedgerEntry.parse(content) for content in contents if content])


def commit(lake: Lake, table: TableId, entry: LedgerEntry) -> bool:
    """Make an entry true; False (and nothing done) where its number is already another run's."""
    return lake.create(table.ledger_entry(entry.version), entry.to_json())


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
    left, found = stored & ledger.fenced, stored - ledger.known_files
    if found:
        entry = LedgerEntry(ledger.version + 1, utc_now().isoformat(), run_id, None, 0, fenced=tuple(sorted(found)))
        left |= found if commit(lake, ledger.table, entry) else set()
    return sorted(left)


def _bronze_files(lake: Lake, ledger: Ledger) -> set[str]:
    return {stored.key for stored in lake.objects(ledger.table.bronze) if stored.key.endswith(".parquet")}
