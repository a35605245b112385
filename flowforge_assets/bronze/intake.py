"""A batch of landing files becomes one bronze file; a file that cannot be read stays out, with its reason, and the rest comes in.

Belongs here: fetching, telling new content from old, isolating bad files. Does not: how a file is read
(`transforms.ingest`), what is on offer (`discovery`), Dagster.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from flowforge_assets.transforms.ingest import Ingested, LandedFile, ingest
from flowforge_resources.content_hash import has_content, hash_of
from flowforge_resources.errors import (
    BadFileError,
    ChangedFileError,
    FlowForgeError,
    LakeAccessError,
    LandingMovedError,
)
from flowforge_resources.frames import as_frame
from flowforge_resources.ledger import FAILED, IDENTICAL, SKIPPED, LeftFile, TakenFile
from flowforge_resources.scratch import disk_is_full
from flowforge_resources.side_by_side import side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from flowforge_assets.bronze.discovery import Candidate
    from flowforge_assets.table_spec import TableSpec
    from flowforge_resources.lake import Lake, StoredObject
    from flowforge_resources.ledger import Ledger
    from flowforge_resources.scratch import Scratch

_Reader: TypeAlias = "Callable[[Sequence[LandedFile]], Ingested]"
# Each costs another look at the files before it; with more of them it is cheaper to try every file by itself.
_FEW_BAD_FILES = 4


@dataclass(frozen=True)
class _Fetched:
    """A candidate with its bytes on local disk."""

    candidate: Candidate
    file: LandedFile


@dataclass
class Intake:
    """What a run took, what it left, and the errors of the files it could not read."""

    done: Ingested
    taken: tuple[TakenFile, ...] = ()
    left: tuple[LeftFile, ...] = ()
    errors: dict[str, BadFileError] = field(default_factory=dict)
    supersedes: tuple[str, ...] = ()

    @property
    def nothing_but_errors(self) -> bool:
        """Whether there was something to take and all of it failed."""
        return bool(self.errors) and not self.taken


def take_in(
    lake: Lake, spec: TableSpec, ledger: Ledger, batch: Sequence[Candidate], *, at: datetime, scratch: Scratch
) -> Intake:
    """Write the rows of the batch to one Parquet file in scratch.

    Raises:
        ChangedFileError: a file was uploaded again with other content, and the table says `on_change: fail`.
        LandingMovedError: a file was written or removed while it was read.
    """
    files = side_by_side(lambda one: _fetch(lake, one.object, scratch), batch)
    fetched = [_Fetched(one, file) for one, file in zip(batch, files, strict=True) if file is not None]
    old = _old_content(spec, ledger, fetched)
    fresh = [one for one in fetched if one.candidate.object.key not in old]
    known, types = ledger.columns, ledger.types

    def read(files: Sequence[LandedFile]) -> Ingested:
        return ingest(files, spec, at, scratch.path(".parquet"), known, types=types)

    done, errors = _ingest_readable(lake, fresh, read)
    _require_unmoved(lake, fresh)
    taken = [one.candidate.object for one in fresh if one.file.key not in errors]
    failed = [_failed(one.candidate, errors[one.file.key], spec) for one in fresh if one.file.key in errors]
    anew = {one.file.key for one in fresh if one.candidate.known} if spec.landing.on_change == "supersede" else set()
    supersedes = tuple(one.key for one in taken if one.key in anew)
    return Intake(done, tuple(_taken(one, done) for one in taken), (*old.values(), *failed), errors, supersedes)


def _fetch(lake: Lake, found: StoredObject, scratch: Scratch) -> LandedFile | None:
    """A local copy, or None for an object that is gone. A local lake's files are read where they lie."""
    if lake.local_root is not None:
        path = lake.local_root / found.key
        return LandedFile(found.key, path) if path.exists() else None
    try:
        return LandedFile(found.key, lake.stage_in(found.key, scratch))
    except LakeAccessError:
        if lake.head(found.key) is None:
            return None
        raise


def _old_content(spec: TableSpec, ledger: Ledger, fetched: Sequence[_Fetched]) -> dict[str, LeftFile]:
    """The files of known keys that are not taken: the same content again, or other content that the table skips."""
    again = [one for one in fetched if one.candidate.known]
    if not again:
        return {}
    ingested = ledger.ingested_hashes(as_frame(one.candidate.object for one in again))
    left: dict[str, LeftFile] = {}
    for one in again:
        key = one.file.key
        if key not in ingested:
            continue
        if has_content(one.file.path, ingested[key]):
            left[key] = _left(one.candidate.object, IDENTICAL, ingested[key])
        elif spec.landing.on_change == "skip":
            left[key] = _left(one.candidate.object, SKIPPED, hash_of(one.file.path))
        elif spec.landing.on_change == "fail":
            raise ChangedFileError(key, str(spec.id))
    return left


def _ingest_readable(
    lake: Lake, fetched: Sequence[_Fetched], read: _Reader
) -> tuple[Ingested, dict[str, BadFileError]]:
    """Ingest all files that can be read; the others by key, with their error."""
    bad: dict[str, BadFileError] = {}
    while True:
        files = [one.file for one in fetched if one.file.key not in bad]
        try:
            return read(files), bad
        except Exception as error:
            _require_unmoved(lake, fetched, error)
            found = _blame(error, files, read, alone=len(bad) >= _FEW_BAD_FILES)
            if not found:
                raise
            bad |= found


def _blame(error: Exception, files: Sequence[LandedFile], read: _Reader, *, alone: bool) -> dict[str, BadFileError]:
    """Which files made a batch fail: the one the error names, or those that fail when tried alone."""
    if not _is_of_a_file(error):
        return {}
    if isinstance(error, BadFileError) and not alone and any(file.key == error.file for file in files):
        return {error.file: error}
    tried = {file.key: _try_alone(file, read) for file in files}
    return {key: said for key, said in tried.items() if said is not None}


def _try_alone(file: LandedFile, read: _Reader) -> BadFileError | None:
    try:
        done = read([file])
    except BadFileError as error:
        return error
    except Exception as error:
        if not _is_of_a_file(error):
            raise
        # Only its kind: the text of a parser's error may hold values.
        return BadFileError(file.key, f"reading it ended with {type(error).__name__}.", "Check that the file is whole.")
    if done.path is not None:
        done.path.unlink(missing_ok=True)
    return None


def _is_of_a_file(error: Exception) -> bool:
    """Whether an error may be a file's fault, and not the machine's, the store's or the declaration's."""
    if isinstance(error, BadFileError):
        return True
    return not isinstance(error, FlowForgeError | OSError | MemoryError) and not disk_is_full(error)


def _require_unmoved(lake: Lake, fetched: Sequence[_Fetched], cause: Exception | None = None) -> None:
    """A local lake's files are read in place: what was written meanwhile was read neither old nor new.

    Raises:
        LandingMovedError: a file is not the one that was listed.
    """
    if lake.local_root is None:
        return
    for one in fetched:
        now = lake.head(one.file.key)
        if now is None or (now.etag, now.size_bytes) != (one.candidate.object.etag, one.candidate.object.size_bytes):
            raise LandingMovedError(one.file.key) from cause


def _taken(found: StoredObject, done: Ingested) -> TakenFile:
    moment = found.last_modified.isoformat()
    return TakenFile(
        found.key, found.etag, found.size_bytes, moment, done.content_hashes[found.key], done.rows[found.key]
    )


def _failed(one: Candidate, error: BadFileError, spec: TableSpec) -> LeftFile:
    reason = f"{error.problem} {error.fix}"
    return _left(one.object, FAILED, reason=reason, attempts=one.attempts + 1, read_as=spec.read_as)


def _left(
    found: StoredObject, outcome: str, content_hash: str = "", *, reason: str = "", attempts: int = 0, read_as: str = ""
) -> LeftFile:
    moment = found.last_modified.isoformat()
    return LeftFile(
        found.key,
        found.etag,
        found.size_bytes,
        moment,
        outcome,
        content_hash,
        reason=reason,
        attempts=attempts,
        read_as=read_as,
    )
