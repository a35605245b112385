"""What a landing sensor tells the run it asks for: which names to look at, so that the run need not list the whole folder.

Both ends stand here: the sensor writes a tag of the run, the run reads it. It saves work and decides nothing: what lies
under a name is looked up again by the run and judged by the ledger, so one that was removed is not there, one that was
changed is taken as it is now, and one that another run took is left. A run without the tag, as every one started by hand,
lists all.
"""

from __future__ import annotations

import json
import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowforge_resources.frames import PAGE_KEYS, as_frame
from flowforge_resources.side_by_side import side_by_side

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import polars as pl

    from flowforge_assets.bronze.landing_tick import Found
    from flowforge_assets.table_spec import TableSpec
    from flowforge_resources.lake import Lake, StoredObject

LOOK_TAG = "flowforge/look"
# Set where the look that named the files went through all of landing, and found nothing odd beside them.
SEEN_TAG = "flowforge/seen"
# PostgreSQL indexes the tags of runs, and refuses entries of more than 2,700 bytes.
MOST_CHARACTERS = 1_000


@dataclass(frozen=True)
class NamedFiles:
    """Landing keys of one table: some, or (`span`) a first and a last one with all that lies between them.

    `rest_seen`: the sensor looked at everything else in the folder, too, and found nothing to say of it.
    """

    keys: tuple[str, ...]
    span: bool = False
    rest_seen: bool = False

    def listed(self, lake: Lake) -> Iterator[pl.DataFrame]:
        """What lies there now, as listings."""
        yield as_frame(found for found in side_by_side(lake.head, self.keys) if found is not None)
        if self.span:
            yield from _between(lake, *self.keys)

    def __str__(self) -> str:
        """For people who look at the run."""
        return f"{self.keys[0]} to {self.keys[-1]}" if self.span else f"{len(self.keys)} file(s)"


def _between(lake: Lake, first: str, last: str) -> Iterator[pl.DataFrame]:
    """Objects between two keys; a store that lists in order is asked for no page behind the last one."""
    folder = posixpath.commonpath([posixpath.dirname(first), posixpath.dirname(last)])
    for page in lake.pages(f"{folder}/", after=first, keys=PAGE_KEYS):
        yield as_frame(found for found in page if first < found.key < last)
        if lake.local_root is None and page[-1].key >= last:
            return


def named_by_sensor(found: Found, tables: Sequence[TableSpec], *, whole: bool) -> dict[str, str]:
    """The tags for a run about what a tick found; `whole`: it went through all of landing.

    Left out of it, so that the run lists their folder: tables with more new files than one run takes (the oldest of all
    come first), with files that the check `landing` warns of, and those that clean their folder.
    """
    said = {spec.id.name: _said(found.new[spec.id.name], spec) for spec in tables if _is_simple(found, spec)}
    text = json.dumps(said)
    if len(text) > MOST_CHARACTERS:
        text = json.dumps({table: {"span": [min(keys), max(keys)]} for table, keys in said.items()})
    if not said or len(text) > MOST_CHARACTERS:
        return {}
    return {LOOK_TAG: text, **({SEEN_TAG: "all"} if whole else {})}


def _said(objects: Sequence[StoredObject], spec: TableSpec) -> list[str]:
    return [one.key.removeprefix(spec.id.landing) for one in objects]


def _is_simple(found: Found, spec: TableSpec) -> bool:
    new, options = found.new.get(spec.id.name, []), spec.landing
    size_bytes = sum(one.size_bytes for one in new)
    at_once = len(new) <= options.max_files_per_run and size_bytes <= (options.max_bytes_per_run or size_bytes)
    odd = any(key.startswith(spec.id.landing) for key in (*found.strangers, *found.set_aside, *found.failed))
    return bool(new) and at_once and not odd and options.clean_source == "keep"


def named_for(spec: TableSpec, tags: Mapping[str, str]) -> NamedFiles | None:
    """What a run's tags name of a table; None where they say nothing of it, or nothing that is understood."""
    try:
        said = json.loads(tags.get(LOOK_TAG, "{}")).get(spec.id.name)
        span = isinstance(said, dict)
        names = [str(name) for name in (said["span"] if span else said or ())]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return NamedFiles(tuple(spec.id.landing + name for name in names), span, SEEN_TAG in tags) if names else None
