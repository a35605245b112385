"""The books by file and by partition: what each landed file brought, and where its rows went; how each partition grew.

Belongs here: the accounts and whether they add up to the table's. Does not: counting (`flowforge_assets.silver.books`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from flowforge_checks.results import BOOKS, Outcome, as_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import dagster as dg

    from flowforge_checks.books import Books

SHOWN = 50


@dataclass(frozen=True)
class FileAccount:
    """One landed file in one run: rows read of it, and where each of them went.

    `to_silver`: those that count for the table, which the table's account tells apart: inserted, updated, unchanged, late
    and so on; None where transforms made more or fewer rows of those that landed. `deduplicated`: those of which another
    row of the key counts; None where a key's events are replayed, which counts them in `to_silver`.
    """

    file: str
    read: int
    quarantined: int
    dropped: int = 0
    discarded: int = 0
    deduplicated: int | None = None
    to_silver: int | None = None

    def with_the_rest(self) -> FileAccount:
        """The account, in which all rows that went nowhere else count for the table."""
        gone = self.quarantined + self.dropped + self.discarded + (self.deduplicated or 0)
        return replace(self, to_silver=self.read - gone)


@dataclass(frozen=True)
class PartitionAccount:
    """One partition a run touched: rows of the batch that belong to it, and its rows before and after."""

    partition: str
    read: int
    rows_before: int
    rows_after: int


@dataclass(frozen=True)
class Accounts:
    """The books of one run of one table, and the same by file and partition; None where they are not kept.

    Not kept by file: of chosen partitions, and of rows that another table routes here. By partition: of a table in one
    piece, or made anew.
    """

    books: Books
    files: Sequence[FileAccount] | None = None
    partitions: Sequence[PartitionAccount] | None = None
    problems: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "problems", tuple(self._problems()))

    def _problems(self) -> list[str]:
        """What does not add up, in sentences."""
        found = [] if self.books.balances else [str(self.books)]
        if self.files is not None:
            # A file's rows that were released count among those read of it.
            of_table = {
                "read": self.books.read + self.books.released,
                "quarantined": self.books.quarantined,
                "dropped": self.books.dropped,
                "discarded": self.books.discarded,
                "deduplicated": self.books.deduplicated,
            }
            for name, whole in of_table.items():
                each = [getattr(one, name) for one in self.files]
                told = None if None in each else sum(each)
                found += [f"By file {told:,} rows are {name}, by table {whole:,}."] if told not in (None, whole) else []
            found += [f"More rows left {one.file} than it has." for one in self.files if (one.to_silver or 0) < 0]
        if self.partitions is not None:
            grew = sum(one.rows_after - one.rows_before for one in self.partitions)
            whole = self.books.rows_after - self.books.rows_before
            found += [f"Partitions grew by {grew:,} rows, the table by {whole:,}."] if grew != whole else []
        return found

    def outcome(self) -> Outcome:
        """The blocking check, with the accounts as tables: the largest files and partitions."""
        metadata: dict[str, Any] = {"account": as_table([self.books.as_dict()])}
        if self.files:
            metadata |= {"account_by_file": _largest(self.files), "files": len(self.files)}
        if self.partitions:
            metadata |= {"account_by_partition": _largest(self.partitions), "partitions": len(self.partitions)}
        said = str(self.books) if not self.problems else " ".join(self.problems)
        return Outcome(BOOKS, passed=not self.problems, blocks=True, description=said, metadata=metadata)


def _largest(rows: Sequence[FileAccount] | Sequence[PartitionAccount]) -> dg.TableMetadataValue:
    every: list[FileAccount | PartitionAccount] = [*rows]
    return as_table([asdict(one) for one in sorted(every, key=lambda one: -one.read)[:SHOWN]])
