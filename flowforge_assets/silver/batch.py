"""What a silver run takes in: the bronze its published version does not hold yet, or all of it where it is made anew.

Belongs here: choosing bronze by the ledger and the facts of the published version. Does not: reading it
(`stage`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from flowforge_assets.bronze.extract_files import empty_extracts
from flowforge_assets.silver.read_back import ReadBack, is_enough, part_of, released_since
from flowforge_assets.silver.version_facts import DECISIONS
from flowforge_assets.transforms.prepare import Decided
from flowforge_checks.decided import discards_after, releases_after, rulings
from flowforge_checks.row_ids import ROW_BITS
from flowforge_resources.bronze_parts import files_of
from flowforge_resources.errors import PartitionsOfOldDefinitionError
from flowforge_resources.ledger import read_ledger
from flowforge_resources.left_out import is_in, joined, left_out_of
from flowforge_resources.partitioned import read_manifest
from flowforge_resources.published import read_published
from flowforge_resources.quarantine_decisions import read_decisions
from flowforge_resources.silver_io_manager import covered_bronze_version

if TYPE_CHECKING:
    from flowforge_assets.bronze.extract_files import EmptyExtract
    from flowforge_assets.table_spec import TableSpec
    from flowforge_resources.bronze_parts import BronzeFile, BronzePart, Span
    from flowforge_resources.lake import Lake
    from flowforge_resources.partitioned import Manifest
    from flowforge_resources.published import Published
    from flowforge_resources.quarantine_decisions import RowDecision


@dataclass(frozen=True)
class Batch:
    """The bronze a silver run has to take in, and what it is merged into.

    `covered`: the ledger version up to which the published version holds bronze. `left_out`: what a replay leaves out,
    because a rollback did. `empty`: extracts without a row, where the table is made of extracts. `read_back`: what is read
    again of bronze that the version holds, where rows were released and that is enough; it is the first entry then.
    """

    entries: tuple[BronzePart, ...]
    published: Published | None
    upto_version: int
    anew: str = ""
    superseded: frozenset[tuple[int, str]] = frozenset()
    covered: int = 0
    left_out: tuple[BronzePart, ...] = ()
    empty: tuple[EmptyExtract, ...] = ()
    chosen: tuple[str, ...] = ()
    manifest: Manifest | None = None
    decisions: tuple[RowDecision, ...] = ()
    discards: bool = False
    read_back: ReadBack | None = None

    @property
    def new(self) -> tuple[BronzePart, ...]:
        """The entries without what is read back."""
        return self.entries[1:] if self.read_back else self.entries

    @property
    def decided(self) -> Decided | None:
        """What was decided of quarantined rows, for the rows of this batch."""
        found = {row: one for row, one in rulings(self.decisions).items() if one.counts}
        return Decided(found, decided_upto(self.published), self._known_upto) if found else None

    @property
    def _known_upto(self) -> int:
        """The number of the first row that no run read before, as `landed` numbers rows."""
        for place, file in enumerate(self.files):
            for part in file.parts:
                if part.version > self.covered:
                    return (place << ROW_BITS) + (part.span.first if part.span else 0)
        return len(self.files) << ROW_BITS

    @property
    def replay(self) -> bool:
        """Whether the table is made anew from all of bronze; `anew` says why."""
        return bool(self.anew)

    @property
    def brings_nothing(self) -> bool:
        """Whether nothing came since the published version, and no row is to be discarded."""
        return not self.entries and not self.empty and not self.chosen and not self.discards

    @cached_property
    def files(self) -> list[BronzeFile]:
        """The bronze files that hold the batch's rows, in order of arrival."""
        return files_of(self.entries)

    @property
    def retracted(self) -> list[tuple[int, str, Span | None]]:
        """The content of the batch that no longer counts: position of its bronze file, landing key, and where in it."""
        places = {part.version: (place, part.span) for place, file in enumerate(self.files) for part in file.parts}
        found = ((places[version], key) for version, key in self.superseded if version in places)
        return sorted((place, key, span) for (place, span), key in found)

    @property
    def merges_into(self) -> Published | None:
        """The version the batch is merged into: none where the table is made anew."""
        return None if self.replay else self.published


def decided_upto(published: Published | None) -> int:
    """Version of the decisions about quarantined rows that a version (or a quarantine file) holds; 0 for none."""
    return int(published.facts.get(DECISIONS, 0)) if published else 0


def next_batch(lake: Lake, spec: TableSpec) -> Batch:
    """What the published version does not hold yet: bronze, and decisions about quarantined rows.

    All of bronze where the table has to be made anew.
    """
    batch = _next_bronze(lake, spec)
    if not batch.decisions:
        return batch
    held = read_published(lake, spec.id.quarantine)
    return replace(batch, discards=held is not None and discards_after(batch.decisions, decided_upto(held)))


def _next_bronze(lake: Lake, spec: TableSpec) -> Batch:
    if spec.partition_by is None:
        return _next_batch(lake, spec, read_published(lake, spec.id.current))
    manifest = read_manifest(lake, spec.id)
    # A table that was in one piece so far goes on from there: its definition is another, so it is made anew.
    batch = _next_batch(lake, spec, manifest.published() if manifest else read_published(lake, spec.id.current))
    never_whole = manifest is not None and not manifest.complete
    anew = batch.anew or ("only chosen partitions of it were made so far" if never_whole else "")
    return replace(batch, manifest=manifest, anew=anew)


def _next_batch(lake: Lake, spec: TableSpec, published: Published | None) -> Batch:
    covered = covered_bronze_version(lake, spec.id, published) if published else 0
    later = read_ledger(lake, spec.root.id, after=covered)
    decisions = tuple(read_decisions(lake, spec.id))
    anew = ""
    if published is not None and published.facts.get("definition") != spec.fingerprint:
        anew = "the table's definition changed"
    elif covered and later.supersedes_after(covered):
        anew = "a file was uploaded again and superseded its earlier version"
    elif published is not None and (key := published.facts.get("state")) and lake.head(key) is None:
        anew = "what was remembered of its keys is gone"
    elif published is not None and releases_after(decisions, decided_upto(published)):
        if covered and (back := _read_back(lake, spec, published, decisions, covered)):
            taken, upto = (part_of(covered), *later.data_after(covered)), later.version or covered
            return Batch(taken, published, upto, covered=covered, decisions=decisions, read_back=back)
        anew = "quarantined rows were released or restored"
    if anew or not covered:
        whole = later if not covered else read_ledger(lake, spec.root.id)
        undone = left_out_of(published.facts) if published else ()
        entries = whole.data_after(0)
        return Batch(
            tuple(entry for entry in entries if not is_in(entry.version, undone)),
            published,
            whole.version,
            anew,
            whole.superseded(undone),
            covered,
            tuple(entry for entry in entries if is_in(entry.version, undone)),
            empty_extracts(whole, spec, after=0, undone=undone, superseded=whole.superseded(undone)),
            decisions=decisions,
        )
    return Batch(
        tuple(later.data_after(covered)),
        published,
        later.version or covered,
        covered=covered,
        empty=empty_extracts(later, spec, after=covered),
        decisions=decisions,
    )


def _read_back(
    lake: Lake, spec: TableSpec, published: Published, decisions: tuple[RowDecision, ...], covered: int
) -> ReadBack | None:
    """What released rows need of the bronze that a version holds; None where they need all of it."""
    if not is_enough(spec) or left_out_of(published.facts):
        return None
    with lake.scratch() as scratch:
        released = released_since(lake, spec, decisions, decided_upto(published), scratch)
    if released is None:
        return None
    whole = read_ledger(lake, spec.root.id)
    entries = tuple(entry for entry in whole.data_after(0) if entry.version <= covered)
    known = Batch(entries, published, covered, superseded=whole.superseded(()))
    return ReadBack(tuple(known.files), tuple(known.retracted), released)


def chosen_batch(lake: Lake, spec: TableSpec, chosen: tuple[str, ...]) -> Batch:
    """All of the bronze that the published version holds, to make some partitions of it anew.

    Of a table that never took its bronze, the chosen partitions are made of all there is now.

    Raises:
        PartitionsOfOldDefinitionError: the others were made by another definition.
    """
    manifest = read_manifest(lake, spec.id)
    if manifest is not None and manifest.facts["definition"] != spec.fingerprint:
        raise PartitionsOfOldDefinitionError(str(spec.id), spec.id.workflow)
    whole = read_ledger(lake, spec.id)
    upto = manifest.bronze_version if manifest else whole.version
    out = joined((*left_out_of(manifest.facts if manifest else {}), (upto + 1, whole.version)))
    entries = tuple(entry for entry in whole.data_after(0) if not is_in(entry.version, out))
    published = manifest.published() if manifest else None
    return Batch(
        entries,
        published,
        upto,
        "1 partition was chosen" if len(chosen) == 1 else f"{len(chosen)} partitions were chosen",
        whole.superseded(out),
        upto,
        empty=empty_extracts(whole, spec, after=0, undone=out, superseded=whole.superseded(out)),
        chosen=chosen,
        manifest=manifest,
        decisions=tuple(read_decisions(lake, spec.id, upto=decided_upto(published))),
    )
