"""The versions of a table: the published one and those in its archive, each described by its own footer.

Nothing else is kept of a version, so its history cannot disagree with what lies on the lake. Works on whatever has a
published object and an archive (`Versioned`): a table, or a part of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from flowforge_resources.layout import TableId
from flowforge_resources.partition_history import kept_manifests
from flowforge_resources.published import Published, read_published
from flowforge_resources.side_by_side import side_by_side

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowforge_resources.lake import Lake

# What happened, as a footer says it under `cause`.
LOADED, ADDED, MADE_ANEW, ROLLED_BACK = "first load", "batch", "made anew", "rollback"
RELEASED = "release"


class Versioned(Protocol):
    """What has versions: where the published one is, and the earlier ones."""

    @property
    def current(self) -> str: ...
    @property
    def archive(self) -> str: ...
    def snapshot(self, published_at: datetime) -> str: ...


@dataclass(frozen=True)
class Version:
    """One version of a table. `replaced_at` is None for the published one."""

    published: Published
    current: bool
    replaced_at: datetime | None = None

    @property
    def facts(self) -> Mapping[str, Any]:
        """What its footer says."""
        return self.published.facts

    @property
    def number(self) -> int:
        """Counted from 1."""
        return int(self.facts.get("version", 0))

    @property
    def key(self) -> str:
        """Where it lies."""
        return self.published.object.key

    @property
    def published_at(self) -> datetime:
        """When it was made."""
        return moment_of(self.published)

    @property
    def merged_up_to(self) -> int:
        """The ledger version up to which its bronze is accounted for."""
        return int(self.facts["bronze_version"])

    @property
    def what(self) -> str:
        """What happened, in words."""
        return _in_words(self.facts)


def moment_of(published: Published) -> datetime:
    """When a version was made, by its footer."""
    return datetime.fromisoformat(published.facts["published_at"])


def what_happened(published: Published) -> str:
    """What made a version, in words."""
    return _in_words(published.facts)


def versions(lake: Lake, table: Versioned) -> list[Version]:
    """Every version there is, newest first; empty for a table that was never published."""
    # The published one first: a run that publishes meanwhile puts it into the archive too, and it is counted once.
    current = read_published(lake, table.current)
    cut = kept_manifests(lake, table) if current is None and isinstance(table, TableId) else []
    earlier = [one.published() for one in cut]
    current = earlier[0] if earlier else current
    keys = [found.key for found in lake.files(table.archive)]
    archived = [found for found in side_by_side(lambda key: read_published(lake, key), keys) if found is not None]
    apart = {
        found.nonce: found
        for found in (*archived, *earlier, *([current] if current else []))
        if "published_at" in found.facts
    }
    ordered = sorted(apart.values(), key=lambda one: (int(one.facts.get("version", 0)), moment_of(one)), reverse=True)
    newer: list[datetime | None] = [None, *(moment_of(one) for one in ordered)]
    return [Version(one, one is current, replaced) for one, replaced in zip(ordered, newer, strict=False)]


def version_at(found: list[Version], moment: datetime) -> Version | None:
    """The version published last at a moment or before, of versions newest first."""
    return next((one for one in found if one.published_at <= moment), None)


def find_version(found: list[Version], wanted: str) -> Version | None:
    """The version of a number, or of a snapshot's key, file name or the moment in it."""
    if wanted.isdecimal():
        return next((one for one in found if one.number == int(wanted)), None)
    names = {one.key: one for one in found if not one.current}
    return next((one for key, one in names.items() if key.removesuffix(".parquet").endswith(_stem(wanted))), None)


def _stem(wanted: str) -> str:
    stem = wanted.removesuffix(".parquet")
    return stem if "/" in stem or stem.startswith("snapshot_") else f"snapshot_{stem}"


def _in_words(facts: Mapping[str, Any]) -> str:
    cause, bronze = facts.get("cause"), facts.get("bronze")
    if cause == ROLLED_BACK:
        said = f"rolled back to version {facts['rolled_back_to']} by {facts['by']}"
        return f"{said}: {facts['reason']}" if facts.get("reason") else said
    if cause == MADE_ANEW:
        return f"made anew from all of bronze, because {facts['because']}"
    if cause == RELEASED:
        return "rows released from quarantine, and what was new in bronze"
    if bronze is None:
        return f"bronze up to {facts.get('bronze_version', '?')}"
    first, last = bronze
    batch = f"bronze {first}" if first == last else f"bronze {first} to {last}"
    return f"first load of {batch}" if cause == LOADED else f"batch of {batch}"
