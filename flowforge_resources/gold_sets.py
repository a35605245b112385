"""Gold tables that belong together: one pointer a workflow names a version of each, and is swapped as a whole.

Belongs here: the pointer `gold/<workflow>/_published.json`, the versions it names, how a reader finds them, and when
a version may go. Does not: which versions belong together (see `gold_published` among the assets).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from flowforge_resources.layout import ModelId, gold_versions, published_set, utc_now

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from flowforge_resources.lake import Lake, StoredObject

# A reader that looked at the pointer just before it was swapped still finds what it named.
SETS_KEPT = 2
GRACE = timedelta(minutes=15)
# What a killed step left unnamed; long after any step that might still name it.
ORPHAN_AGE = timedelta(days=1)


@dataclass(frozen=True)
class GoldSet:
    """Versions that were built from each other and from the same silver.

    `tables`: nonce by `workflow.name`, those of other workflows' models that were read among them. `silver`: nonce of
    each silver table that was read, by `workflow.name`.
    """

    tables: Mapping[str, str]
    silver: Mapping[str, str]
    run_id: str = ""
    nonce: str = field(default_factory=lambda: uuid4().hex)
    published_at: str = field(default_factory=lambda: utc_now().isoformat())
    superseded_at: str | None = None

    def keys(self, workflow: str) -> dict[str, str]:
        """Where each table's version lies, by `workflow.name`."""
        return {
            name: ModelId(*name.split(".", 1)).version(nonce, kept_by=workflow) for name, nonce in self.tables.items()
        }

    def same_versions(self, other: GoldSet) -> bool:
        """Whether both name the same versions."""
        return (self.tables, self.silver) == (other.tables, other.silver)


@dataclass(frozen=True)
class Pointer:
    """The pointer as it lies on the lake: the set that counts, and those whose versions are still kept."""

    object: StoredObject
    current: GoldSet
    earlier: tuple[GoldSet, ...] = ()

    def kept(self, workflow: str) -> set[str]:
        """Keys of all versions that some set names."""
        return {key for one in (self.current, *self.earlier) for key in one.keys(workflow).values()}


def read_pointer(lake: Lake, workflow: str) -> Pointer | None:
    """The pointer with its place on the lake, for one who will swap it."""
    if (found := lake.read_stored(published_set(workflow))) is None:
        return None
    stored, content = found
    raw = json.loads(content)
    return Pointer(stored, _parse(raw), tuple(_parse(one) for one in raw["earlier"]))


def read_set(lake: Lake, workflow: str) -> GoldSet | None:
    """The set that counts now, in one request; None where none was published yet."""
    content = lake.read(published_set(workflow))
    return None if content is None else _parse(json.loads(content))


def _parse(raw: Mapping[str, Any]) -> GoldSet:
    tables = {name: one["nonce"] for name, one in raw["tables"].items()}
    said = {name: raw.get(name) for name in ("silver", "run_id", "nonce", "published_at", "superseded_at")}
    return GoldSet(tables=tables, **said)  # type: ignore[arg-type]  # as `_document` wrote them


def _document(workflow: str, one: GoldSet) -> dict[str, Any]:
    keys = one.keys(workflow)
    tables = {name: {"key": keys[name], "nonce": nonce} for name, nonce in sorted(one.tables.items())}
    return {**asdict(one), "tables": tables, "silver": dict(sorted(one.silver.items()))}


def swap_pointer(lake: Lake, workflow: str, made: GoldSet, replaces: Pointer | None) -> bool:
    """Make a set the one that counts, and remove versions that no kept set names any more.

    False, and nothing done, where another run swapped the pointer since `replaces` was read. Every version the set
    names must be there.
    """
    earlier = _still_kept(replaces, made.published_at)
    document = {**_document(workflow, made), "earlier": [_document(workflow, one) for one in earlier]}
    content = json.dumps(document, indent=1).encode()
    swapped = lake.swap_content(published_set(workflow), content, expected=replaces.object if replaces else None)
    if swapped is None:
        return False
    _sweep(lake, workflow, Pointer(swapped, made, earlier), replaces)
    return True


def _still_kept(replaces: Pointer | None, now: str) -> tuple[GoldSet, ...]:
    """The last sets, and those that were replaced only just now; newest first."""
    if replaces is None:
        return ()
    last = GoldSet(**{**vars(replaces.current), "superseded_at": now})
    oldest = datetime.fromisoformat(now) - GRACE
    sets = (last, *replaces.earlier)
    return tuple(
        one
        for place, one in enumerate(sets)
        if place < SETS_KEPT or datetime.fromisoformat(one.superseded_at or now) > oldest
    )


def _sweep(lake: Lake, workflow: str, pointer: Pointer, replaced: Pointer | None) -> None:
    """Remove versions that only dropped sets name, and what killed steps left long ago.

    Only what the replaced pointer named is removed at once: a nonce that was dropped never comes back, while an
    unknown one may belong to a set that another run is about to publish.
    """
    kept = pointer.kept(workflow)
    dropped = replaced.kept(workflow) - kept if replaced else set()
    for key in dropped:
        lake.delete(key)
    old = utc_now() - ORPHAN_AGE
    strangers = [one.key for one in lake.objects(gold_versions(workflow)) if one.last_modified < old]
    now = read_pointer(lake, workflow) if strangers else None
    if now is not None and now.object == pointer.object:
        for key in set(strangers) - kept - dropped:
            lake.delete(key)


def chosen_keys(sets: Mapping[str, GoldSet], named: Iterable[str]) -> dict[str, str]:
    """Keys of the versions that a statement reads together, by `workflow.name`, for workflows that published a set.

    A conformed dimension is read as the workflow that shares it in this statement was built from it; where two
    workflows were built from different versions of it, or the statement reads more of its own workflow, as its own
    set has it.
    """
    gold = [name for name in named if name.split(".", 1)[0] in sets]
    chosen = {}
    for name in gold:
        own = name.split(".", 1)[0]
        others = {one.split(".", 1)[0] for one in gold} - {own}
        pinned = {sets[other].keys(other)[name] for other in others if name in sets[other].tables}
        alone = not any(one != name and one.split(".", 1)[0] == own for one in gold if one not in _shared(sets, others))
        if len(pinned) == 1 and alone:
            chosen[name] = pinned.pop()
        elif name in sets[own].tables:
            chosen[name] = sets[own].keys(own)[name]
    return chosen


def _shared(sets: Mapping[str, GoldSet], workflows: Iterable[str]) -> set[str]:
    return {name for workflow in workflows for name in sets[workflow].tables}
