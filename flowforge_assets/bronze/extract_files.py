"""Full extracts without a row: bronze has nothing of them, so the ledger is asked which files had no row, and when.

Belongs here: which extracts of a batch are empty, and between which others they came. Does not: what an extract does to
the table (`strategies`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from flowforge_resources.left_out import is_in

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowforge_assets.strategies.spec import Extract
    from flowforge_assets.table_spec import TableSpec
    from flowforge_resources.ledger import LandedRecord, Ledger
    from flowforge_resources.left_out import Ranges


@dataclass(frozen=True)
class EmptyExtract:
    """An extract none of whose files has a row. `behind`: how many extracts with rows came before it in the batch."""

    behind: int
    taken_at: datetime


def empty_extracts(
    ledger: Ledger,
    spec: TableSpec,
    *,
    after: int,
    undone: Ranges = (),
    superseded: frozenset[tuple[int, str]] = frozenset(),
) -> tuple[EmptyExtract, ...]:
    """The empty extracts of the bronze behind a ledger version, in order of arrival; `undone`: bronze that is left out.

    Where absence counts within a scope, an extract without a row has no scope, so nothing is absent from it.
    """
    if not spec.strategy.takes_extracts or spec.strategy.within:
        return ()
    files = (
        one
        for one in ledger.landed_after(after)
        if not is_in(one.version, undone) and (one.version, one.key) not in superseded
    )
    return _empty(files, spec.strategy.extract)


def _empty(files: Iterable[LandedRecord], extract: Extract) -> tuple[EmptyExtract, ...]:
    first: dict[tuple[int, str], tuple[int, str]] = {}  # of each extract: place of its first file, and moment
    rows: dict[tuple[int, str], int] = {}
    for number, one in enumerate(files):
        name = one.version, {"file": one.key, "folder": one.key.rpartition("/")[0], "run": ""}[extract]
        rows[name] = rows.get(name, 0) + one.rows
        # Rows say where an extract with rows begins: its files without one do not.
        if name not in first or (one.rows and rows[name] == one.rows):
            first[name] = number, one.committed_at
    begun = [first[name][0] for name, count in rows.items() if count]
    return tuple(
        EmptyExtract(sum(one < first[name][0] for one in begun), _utc(first[name][1]))
        for name in sorted(rows, key=lambda name: first[name][0])
        if not rows[name]
    )


def _utc(moment: str) -> datetime:
    return datetime.fromisoformat(moment).astimezone(UTC).replace(tzinfo=None)
