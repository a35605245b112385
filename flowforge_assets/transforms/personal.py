"""Which columns hold personal data behind a table's transforms, and in its bronze.

What is made of a personal column is personal: renamed, split off, computed, looked up. Hashed or masked it is so no more,
nor where its column says `pii: false`. And what lands only to become a personal column is personal already.

Belongs here: following the declared `pii` both ways. Does not: hiding anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowforge_assets.transforms.reshaping import Lookup, Python

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from flowforge_assets.table_spec import Column, TableSpec
    from flowforge_assets.transforms.base import Transform

# Stands for personal data of another table, which is in none of the columns that landed.
_ELSEWHERE = "\0elsewhere"
# Of each column: the landed headers whose text can be read in it.
Readable = dict[str, frozenset[str]]


@dataclass(frozen=True)
class Personal:
    """Columns with personal data: of silver, by name; of bronze, by header."""

    silver: frozenset[str]
    landed: frozenset[str]


def personal(spec: TableSpec) -> Personal:
    """The columns that are declared personal, and those that are by what they are made of or become."""
    start = _start(spec)
    behind = _through(start, spec.transforms, spec)
    declared = [column for column in spec.columns if column.pii]
    came = _of(start, [column for column in declared if column in spec.landed])
    came |= spec.routed.source.landed_pii if spec.routed else frozenset()
    becomes = _of(behind, [column for column in declared if column not in spec.landed])
    own = _of(start, spec.landed)
    carried = came | (becomes - own) | {_ELSEWHERE}
    silver = {column.name for column in spec.columns if column.pii or _carries(column, behind, carried)}
    not_personal = _of(start, [column for column in spec.landed if _says_no(column)])
    return Personal(frozenset(silver), frozenset(came | (becomes - not_personal) - {_ELSEWHERE}))


def _carries(column: Column, behind: Readable, carried: frozenset[str]) -> bool:
    return not _says_no(column) and not carried.isdisjoint(behind.get(column.name, ()))


def _says_no(column: Column) -> bool:
    return not column.pii and "pii" in column.model_fields_set


def _of(readable: Readable, columns: Iterable[Column]) -> frozenset[str]:
    return frozenset[str]().union(*(readable.get(column.name, ()) for column in columns))


def _start(spec: TableSpec) -> Readable:
    """The columns of the rows that come, by the names that silver gives them."""
    headers = {column.name: column.header for column in spec.landed} | {name: name for name in spec.landed_columns}
    if spec.routed is None:
        return {name: frozenset({header}) for name, header in headers.items()}
    source = spec.routed.source
    before = _through(_start(source), source.transforms[: spec.routed.at + 1], source)
    gone = {column.header for column in spec.landed}
    stays = {name: made for name, made in before.items() if name not in gone}
    return stays | {name: before.get(header, frozenset()) for name, header in headers.items()}


def _through(start: Readable, steps: Sequence[Transform], spec: TableSpec) -> Readable:
    found = dict(start)
    for step in steps:
        found |= _taken(step, spec.lookups) if isinstance(step, Lookup) else _made(step, found)
    return found


def _taken(step: Lookup, lookups: Mapping[str, tuple[Column, ...]]) -> Readable:
    theirs = {column.name for column in lookups.get(step.table, ()) if column.pii}
    return {name: frozenset({_ELSEWHERE} if of in theirs else ()) for name, of in step.take.items()}


def _made(step: Transform, before: Readable) -> Readable:
    """Of a Python function the columns it adds may be made of all others; what it leaves in the others stays theirs."""
    made = step.lineage(list(before))
    if isinstance(step, Python):
        made = {name: made[name] for name in step.adds}
    return {
        name: frozenset() if does == "masked" else frozenset[str]().union(*(before[one] for one in inputs))
        for name, (inputs, does) in made.items()
    }
