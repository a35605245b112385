"""What lies in landing and what becomes of it: new, too young, set aside, not the table's, or known already.

Belongs here: sorting objects of a listing by what the ledger and the table's options say. Does not: reading a file
(see `intake`), or asking for runs (see `sensors`).

Everything is decided by key, ETag and size against the ledger, nothing by time or order of names: a file with an old
date, a clock that jumped or a name before all others is found like any other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from flowforge_assets.bronze.clean_source import covered_version, done_with
from flowforge_resources.frames import objects_schema, windows
from flowforge_resources.lake import StoredObject
from flowforge_resources.ledger import FAILED
from flowforge_resources.local_writers import is_being_written

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl

    from flowforge_assets.bronze.landing_options import LandingOptions
    from flowforge_assets.bronze.named_files import NamedFiles
    from flowforge_assets.table_spec import TableSpec
    from flowforge_resources.lake import Lake
    from flowforge_resources.ledger import Ledger

FIRST_PAUSE = timedelta(seconds=30)
KEYS_AT_ONCE = 100_000
# For a local file of which nobody can say whether it is still being written.
CAUTIOUS_AGE_S = 2.0


@dataclass(frozen=True)
class Candidate:
    """An object that was not ingested. `known`: its key was, with other content. `attempts` of it failed so far."""

    object: StoredObject
    known: bool = False
    attempts: int = 0
    failed_at: datetime | None = None
    reason: str = ""

    def is_due(self, now: datetime) -> bool:
        """Whether a run should be asked for again: 30 s after the first failure, then twice as long each time."""
        return self.failed_at is None or now - self.failed_at >= FIRST_PAUSE * 2 ** (self.attempts - 1)


@dataclass
class Landed:
    """A table's landing objects that were not ingested, by what becomes of them; and the `done`, which may go."""

    new: list[Candidate] = field(default_factory=list)
    young: list[str] = field(default_factory=list)
    set_aside: list[Candidate] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    done: list[StoredObject] = field(default_factory=list)

    def add(self, more: Landed) -> None:
        """Take in what another window holds."""
        for mine, theirs in zip(vars(self).values(), vars(more).values(), strict=True):
            mine.extend(theirs)


def look(lake: Lake, spec: TableSpec, ledger: Ledger, now: datetime, named: NamedFiles | None = None) -> Landed:
    """Everything in a table's landing folder that was not ingested, or what is so of the files that a sensor named.

    Memory goes with what is new, not with what is known.
    """
    landed = Landed()
    covered = 0 if spec.landing.clean_source == "keep" else covered_version(lake, spec)
    for found in named.listed(lake) if named else windows(lake, spec.id.landing, limit=KEYS_AT_ONCE):
        judged = ledger.judge(found)
        landed.add(sort_out(lake, spec, judged, now))
        landed.done += done_with(spec, judged, covered, now)
    return landed


def sort_out(lake: Lake, spec: TableSpec, judged: pl.DataFrame, now: datetime) -> Landed:
    """Sort a window of a listing that the ledger has judged (`Ledger.judge`)."""
    import polars as pl

    landed = Landed()
    open_ones = judged.filter(pl.col("outcome").is_null() | (pl.col("outcome") == FAILED))
    for row in open_ones.iter_rows(named=True):
        found = StoredObject(**{name: row[name] for name in objects_schema()})
        name = found.key.removeprefix(spec.id.landing)
        if spec.landing.ignores(name):
            continue
        if not fnmatchcase(name, spec.files):
            landed.strangers.append(found.key)
            continue
        one = _candidate(found, row, spec)
        if one.attempts >= spec.landing.max_file_attempts:
            landed.set_aside.append(one)
        elif is_settled(lake, spec.landing, found, now):
            landed.new.append(one)
        else:
            landed.young.append(found.key)
    return landed


def _candidate(found: StoredObject, row: dict[str, Any], spec: TableSpec) -> Candidate:
    """Earlier failures count only where the same upload would be read the same way again."""
    if row["outcome"] != FAILED or row["read_as"] != spec.read_as or _is_later(found, row["uploaded_at"]):
        return Candidate(found, known=row["known"])
    return Candidate(found, row["known"], row["attempts"], datetime.fromisoformat(row["committed_at"]), row["reason"])


def _is_later(found: StoredObject, uploaded_at: str) -> bool:
    """Whether the same bytes were uploaded again, which a store whose ETag is their hash shows by the time alone."""
    return found.uploaded_s > int(datetime.fromisoformat(uploaded_at).timestamp())


def is_settled(lake: Lake, options: LandingOptions, found: StoredObject, now: datetime) -> bool:
    """Whether an upload is over.

    A date in the future is another clock's: a file that is being written carries the present one, so distance counts.
    """
    age_s = abs((now - found.last_modified).total_seconds())
    if options.min_age_s is not None and age_s < options.min_age_s:
        return False
    if lake.local_root is None:
        return True
    try:
        writing = is_being_written(lake.local_root / found.key)
    except FileNotFoundError:
        return False
    if writing is None and options.min_age_s is None:
        return age_s >= CAUTIOUS_AGE_S
    return not writing


def within_limits(options: LandingOptions, new: Iterable[Candidate]) -> list[Candidate]:
    """The oldest candidates up to the limits of one run; at least one, however large."""
    batch: list[Candidate] = []
    size_bytes = 0
    for one in sorted(new, key=lambda candidate: (candidate.object.last_modified, candidate.object.key)):
        size_bytes += one.object.size_bytes
        too_large = options.max_bytes_per_run is not None and size_bytes > options.max_bytes_per_run
        if batch and (too_large or len(batch) >= options.max_files_per_run):
            break
        batch.append(one)
    return batch
