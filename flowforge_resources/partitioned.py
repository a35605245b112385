"""A silver table in partitions: the manifest that says which object each partition is, and how a new one is published.

Every version of a partition is an object of its own, written once (`<partition>/archive/snapshot_….parquet`). The
manifest `_partitions.json` names the ones that count. Swapping it, on condition that nobody else did, is the one moment
at which a batch becomes true, for all partitions at once; FlowForge's readers read what it names. A run that dies
before leaves objects nobody reads; the batch is taken again from the same versions, so nothing is doubled or lost,
whatever the strategy.

For readers who know nothing of this, `<partition>/current.parquet` is then made a second name of the version that
counts: partition by partition, so that such a reader sees each partition whole, and during a publish some of them new.

A publish first notes under `_publishing/` what it is about to write. The note goes when all is done; a later run
finishes, or cleans up after, one that died.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flowforge_resources.errors import ConcurrentPublishError
from flowforge_resources.published import Published, read_published
from flowforge_resources.side_by_side import side_by_side

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from flowforge_resources.lake import Lake, StoredObject
    from flowforge_resources.layout import TableId
    from flowforge_resources.scratch import Scratch

# How many versions back a manifest knows who published them; a note of a publish older than that is only removed.
_REMEMBERED = 50
# How many other publishes one of chosen partitions may follow; the same number of versions its note is kept.
_REBASED_AT_MOST = 40

Bounds = dict[str, tuple[str | None, str | None]]


@dataclass(frozen=True)
class Partition:
    """One version of one partition. `bounds`: least and greatest value of each key column, as text; None: not known."""

    object: str
    rows: int
    size_bytes: int
    version: int
    bounds: Bounds = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """One version of a table: its facts, columns (name, type) and partitions by key.

    `facts` are those of the footers: version, nonce, run_id, published_at, bronze_version, definition. `complete` is
    false while only chosen partitions were made of a table that never took its bronze; `bronze_version` then says up to
    where those were made. `lineage`: nonces of the last versions, newest first.
    """

    facts: Mapping[str, Any]
    columns: tuple[tuple[str, str], ...]
    partitions: Mapping[str, Partition]
    complete: bool = True
    lineage: tuple[tuple[int, str], ...] = ()
    object: StoredObject | None = None

    @property
    def version(self) -> int:
        """Number of the version, counting from 1."""
        return int(self.facts["version"])

    @property
    def nonce(self) -> str:
        """Different for every published version."""
        return str(self.facts["nonce"])

    @property
    def bronze_version(self) -> int:
        """Up to which ledger version bronze is merged in."""
        return int(self.facts["bronze_version"])

    @property
    def rows(self) -> int:
        """Rows of all partitions."""
        return sum(part.rows for part in self.partitions.values())

    @property
    def size_bytes(self) -> int:
        """Bytes of all partitions."""
        return sum(part.size_bytes for part in self.partitions.values())

    def published(self) -> Published:
        """As readers see any table."""
        if self.object is None:
            raise AssertionError("a manifest that was read knows its object")
        facts = {**self.facts, "bronze_version": self.bronze_version if self.complete else 0}
        return Published(replace(self.object, size_bytes=self.size_bytes), facts, self.rows, self.columns)

    def to_json(self) -> bytes:
        """As it stands on the lake."""
        said = {
            **self.facts,
            "complete": self.complete,
            "columns": self.columns,
            "lineage": self.lineage,
            "partitions": {key: asdict(part) for key, part in sorted(self.partitions.items())},
        }
        return json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode()

    @classmethod
    def parse(cls, content: bytes, stored: StoredObject | None = None) -> Manifest:
        """Read what `to_json` wrote."""
        said = json.loads(content)
        partitions = {key: _partition(part) for key, part in said.pop("partitions").items()}
        columns = tuple((name, kind) for name, kind in said.pop("columns"))
        lineage = tuple((version, nonce) for version, nonce in said.pop("lineage"))
        return cls(said, columns, partitions, said.pop("complete"), lineage, stored)


def _partition(said: dict[str, Any]) -> Partition:
    return Partition(**{**said, "bounds": {name: (least, most) for name, (least, most) in said["bounds"].items()}})


@dataclass(frozen=True)
class LocalPartition:
    """A new version of a partition on local disk."""

    path: Path
    rows: int
    bounds: Bounds


@dataclass(frozen=True)
class StagedPartitions:
    """The next version of a partitioned table: what it replaces, what is new, and what is said of it.

    `anew`: partitions that are not among the new ones are no longer part of the table. `chosen`: made by choice, of
    bronze the table holds already, so that another run's publish of other partitions is no conflict. `decided`: it holds
    decisions about quarantined rows that the earlier one does not, even where no partition changed.
    """

    replaces: Manifest | None
    files: Mapping[str, LocalPartition]
    facts: Mapping[str, Any]
    columns: tuple[tuple[str, str], ...]
    anew: bool = False
    chosen: bool = False
    decided: bool = False

    @property
    def kept(self) -> Mapping[str, Partition]:
        """Partitions that stay as they are."""
        if self.replaces is None or self.anew:
            return {}
        return {key: part for key, part in self.replaces.partitions.items() if key not in self.files}

    @property
    def rows(self) -> int:
        """Rows of the whole table."""
        kept = sum(part.rows for part in self.kept.values())
        return kept + sum(part.rows for part in self.files.values())

    @property
    def size_bytes(self) -> int:
        """Bytes of the whole table."""
        new = sum(part.path.stat().st_size for part in self.files.values())
        return new + sum(part.size_bytes for part in self.kept.values())


def read_manifest(lake: Lake, table: TableId) -> Manifest | None:
    """A partitioned table's version; None where the table is in one piece, or was never published."""
    found = lake.read_stored(table.manifest)
    return Manifest.parse(found[1], found[0]) if found else None


def find_manifest(lake: Lake, table: TableId, nonce: str) -> Manifest | None:
    """A version of a partitioned table by its nonce, if it is kept."""
    now = read_manifest(lake, table)
    if now is None or now.nonce == nonce:
        return now
    kept = [found for found in lake.files(table.manifests) if found.key.endswith(f"_{nonce[:8]}.json")]
    return next((one for found in kept if (one := read_kept(lake, found)) is not None and one.nonce == nonce), None)


def read_kept(lake: Lake, stored: StoredObject) -> Manifest | None:
    """One version's manifest, or None where it was let go meanwhile."""
    content = lake.read(stored.key)
    return Manifest.parse(content, stored) if content is not None else None


def publish_partitions(lake: Lake, table: TableId, staged: StagedPartitions) -> Manifest:
    """Write the new versions, swap the manifest, then show the new versions to other readers.

    Raises:
        ConcurrentPublishError: another run published the table since it was read; nothing of this run counts.
    """
    at, nonce = datetime.fromisoformat(staged.facts["published_at"]), str(staged.facts["nonce"])
    names = {key: table.partition_snapshot(key, at, nonce) for key in staged.files}
    after = _version_before(staged)
    own = [*names.values(), table.snapshot_manifest(at, nonce)]
    gone = sorted(set(staged.replaces.partitions) - set(staged.files)) if staged.replaces and staged.anew else []
    last = after + (_REBASED_AT_MOST if staged.chosen else 1)
    note = _Note(nonce, after, last, (*sorted(staged.files), *gone), tuple(own))
    lake.write(note.key(table), note.to_json())
    sizes = {key: part.path.stat().st_size for key, part in staged.files.items()}
    side_by_side(lambda key: lake.publish(staged.files[key].path, names[key]), sorted(names))
    while True:
        manifest = _following(staged, names, sizes)
        if manifest.version <= last and _swap(lake, table, manifest, staged.replaces, own[-1]):
            break
        rebased = _rebased(lake, table, staged)
        if rebased is None or manifest.version > last:
            _forget(lake, table, note)
            raise ConcurrentPublishError(f"silver of {table}")
        staged = rebased
    finish(lake, table)
    return manifest


def publish_manifest(lake: Lake, table: TableId, wanted: Manifest, *, replaces: Manifest) -> bool:
    """Make partitions that all exist already the next version; False where another run published meanwhile."""
    at, version = datetime.fromisoformat(wanted.facts["published_at"]), replaces.version + 1
    lineage = ((version, wanted.nonce), *replaces.lineage)[:_REMEMBERED]
    manifest = replace(wanted, facts={**wanted.facts, "version": version}, lineage=lineage)
    either = {*manifest.partitions, *replaces.partitions}
    changed = sorted(key for key in either if manifest.partitions.get(key) != replaces.partitions.get(key))
    snapshot = table.snapshot_manifest(at, wanted.nonce)
    note = _Note(wanted.nonce, replaces.version, version, tuple(changed), (snapshot,))
    lake.write(note.key(table), note.to_json())
    if not _swap(lake, table, manifest, replaces, snapshot):
        _forget(lake, table, note)
        return False
    finish(lake, table)
    return True


def cover(lake: Lake, table: TableId, manifest: Manifest, bronze_version: int) -> None:
    """Note that the published version also holds bronze which changed no row.

    Raises:
        ConcurrentPublishError: another run published the table since it was read.
    """
    later = replace(manifest, facts={**manifest.facts, "bronze_version": bronze_version})
    if not _swap(lake, table, later, manifest, None):
        raise ConcurrentPublishError(f"silver of {table}")


def finish(lake: Lake, table: TableId) -> None:
    """End what earlier publishes left unfinished: show what counts, remove what never will; harmless to repeat.

    A note is judged when its run has published, or never can: the manifest has reached the last version it could become.
    """
    notes = [_Note.parse(found) for one in lake.files(table.unfinished) if (found := lake.read(one.key))]
    manifest = read_manifest(lake, table) if notes else None
    if manifest is None:
        return
    for note in notes:
        if any(nonce == note.nonce for _, nonce in manifest.lineage):
            manifest = _show_what_counts(lake, table, manifest, note.partitions)
            lake.delete(note.key(table))
        elif note.last <= manifest.version:
            all_known = manifest.lineage[-1][0] <= note.after + 1
            _forget(lake, table, note if all_known else replace(note, objects=()))


def _show_what_counts(lake: Lake, table: TableId, manifest: Manifest, partitions: Iterable[str]) -> Manifest:
    """Show partitions until no other run has published meanwhile; returns the version that was shown last."""
    shown = None
    while shown != manifest:
        shown = manifest
        _show(lake, table, shown, partitions)
        manifest = read_manifest(lake, table) or shown
    return manifest


def _show(lake: Lake, table: TableId, manifest: Manifest, partitions: Iterable[str]) -> None:
    """Make `current.parquet` of some partitions a second name of the version that counts, or remove it."""

    def show(key: str) -> None:
        part = manifest.partitions.get(key)
        if part is None:
            lake.delete(table.partition_current(key))
        else:
            lake.show_as(part.object, table.partition_current(key))

    side_by_side(show, partitions)


@dataclass(frozen=True)
class _Note:
    """What a publish is about to write: the partitions it changes, and the objects it adds.

    It was read at version `after` and may become a version up to `last`.
    """

    nonce: str
    after: int
    last: int
    partitions: tuple[str, ...]
    objects: tuple[str, ...]

    def key(self, table: TableId) -> str:
        return f"{table.unfinished}{self.nonce}.json"

    def to_json(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def parse(cls, content: bytes) -> _Note:
        said = json.loads(content)
        return cls(said["nonce"], said["after"], said["last"], tuple(said["partitions"]), tuple(said["objects"]))


def _forget(lake: Lake, table: TableId, note: _Note) -> None:
    """Remove what a run wrote that will never count."""
    side_by_side(lake.delete, note.objects)
    lake.delete(note.key(table))


def _version_before(staged: StagedPartitions) -> int:
    """The version that is replaced; of a table that was in one piece, that one's."""
    return staged.replaces.version if staged.replaces else int(staged.facts["version"]) - 1


def _following(staged: StagedPartitions, names: Mapping[str, str], sizes: Mapping[str, int]) -> Manifest:
    before, version = staged.replaces, _version_before(staged) + 1
    new = {
        key: Partition(names[key], part.rows, sizes[key], version, part.bounds) for key, part in staged.files.items()
    }
    lineage = ((version, str(staged.facts["nonce"])), *(before.lineage if before else ()))[:_REMEMBERED]
    complete = not staged.chosen or (before is not None and before.complete)
    facts = {**staged.facts, "version": version}
    return Manifest(facts, staged.columns, {**staged.kept, **new}, complete, lineage)


def _swap(lake: Lake, table: TableId, manifest: Manifest, replaces: Manifest | None, snapshot: str | None) -> bool:
    content = manifest.to_json()
    if snapshot is not None:
        lake.write(snapshot, content)
    expected = replaces.object if replaces else None
    return lake.swap_content(table.manifest, content, expected=expected) is not None


def _rebased(lake: Lake, table: TableId, staged: StagedPartitions) -> StagedPartitions | None:
    """The same chosen partitions on another run's version, if that run left them and what they are made of alone."""
    now = read_manifest(lake, table)
    if not staged.chosen or now is None:
        return None
    before = staged.replaces.partitions if staged.replaces else {}
    same = all(now.partitions.get(key) == before.get(key) for key in staged.files)
    facts = ("bronze_version", "definition", "state")
    if not same or any(now.facts.get(name) != staged.facts.get(name) for name in facts):
        return None
    return replace(staged, replaces=now)


def put_away_single(lake: Lake, table: TableId) -> None:
    """Of a table that was in one piece before: archive that version, so that nobody takes it for the table."""
    if (single := read_published(lake, table.current)) is None:
        return
    lake.copy_new(table.current, table.snapshot(datetime.fromisoformat(single.facts["published_at"])))
    lake.delete(table.current)


def put_away_partitions(lake: Lake, table: TableId) -> None:
    """Of a table that was in partitions before: they stay in their archives, and nobody takes them for the table."""
    if (manifest := read_manifest(lake, table)) is None:
        return
    _show(lake, table, replace(manifest, partitions={}), manifest.partitions)
    lake.delete(table.manifest)


def stage_in_partitions(lake: Lake, objects: Mapping[str, str], scratch: Scratch) -> Path:
    """Local files of several objects in a folder of their own, as the pattern that stands for all of them."""
    folder = scratch.path("")
    folder.mkdir()

    def fetch(numbered: tuple[int, str]) -> None:
        number, key = numbered
        lake.stage_in(key, scratch).rename(folder / f"{number:06d}.parquet")

    side_by_side(fetch, enumerate(objects.values()))
    return folder / "*.parquet"


def objects_of(manifest: Manifest, partitions: Iterable[str] | None = None) -> dict[str, str]:
    """Keys of the objects of some partitions (default: all), by partition, in order."""
    wanted: Sequence[str] = sorted(manifest.partitions if partitions is None else partitions)
    return {key: manifest.partitions[key].object for key in wanted if key in manifest.partitions}
