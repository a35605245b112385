"""The books by file and by partition: what each landed file brought, and where its rows went; how each partition grew.

Belongs here: the accounts and whether they add up to the table's. Does not: counting (`flowforge_assets.silver.books`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flowforge_checks.books import ACCOUNT
from flowforge_checks.results import BOOKS, Outcome, as_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import dagster as dg

    from flowforge_checks.books import Books

SHOWN = 50
# What rows come from, and where they go.
OF_FILE = ("read", "released", "exploded", *ACCOUNT)
# Of a partition, whose rows have been through the transforms.
OF_PARTITION = tuple(name for name in ACCOUNT if name not in ("filtered", "routed"))
# Shown even where they are zero everywhere.
_ALWAYS = ("read", "inserted", "deduplicated", "quarantined")


@dataclass(frozen=True)
class FileAccount:
    """One landed file in one run: rows read of it, and where each of them went. Of `books` the `OF_FILE` columns count."""

    file: str
    books: Books

    def as_dict(self) -> dict[str, Any]:
        """The account by column."""
        account = self.books.as_dict()
        return {"file": self.file, **{name: account[name] for name in OF_FILE}}


@dataclass(frozen=True)
class PartitionAccount:
    """One partition a run touched: rows of the batch that belong to it, and where they went; its rows before and after.

    Of `books` count `read`, those that came out of the transforms, the `OF_PARTITION` columns, and the rows before and after.
    """

    partition: str
    books: Books

    @property
    def moved(self) -> int:
        """Rows that came from other partitions less those that went there; with history, also versions split or merged."""
        return self.books.rows_after - self.books.rows_before - self.books.inserted + self.books.deleted

    def as_dict(self) -> dict[str, Any]:
        """The account by column."""
        account = self.books.as_dict()
        told = {name: account[name] for name in ("read", *OF_PARTITION)}
        rows = {"rows_before": self.books.rows_before, "moved": self.moved, "rows_after": self.books.rows_after}
        return {"partition": self.partition, **told, **rows}


@dataclass(frozen=True)
class Accounts:
    """The books of one run of one table, and the same by file, and by partition where it has any."""

    books: Books
    files: Sequence[FileAccount] = ()
    partitions: Sequence[PartitionAccount] | None = None
    problems: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "problems", tuple(self._problems()))

    def _problems(self) -> list[str]:
        """What does not add up, in sentences."""
        found = [] if self.books.balances else [str(self.books)]
        found += self._differing("file", [one.books for one in self.files], OF_FILE)
        found += [
            f"The rows of {one.file} do not add up: {one.books}." for one in self.files if not _adds_up(one.books)
        ]
        if self.partitions is None:
            return found
        found += self._differing("partition", [one.books for one in self.partitions], OF_PARTITION)
        found += [
            f"The rows of partition {one.partition} do not add up: {one.books}."
            for one in self.partitions
            if not _adds_up(one.books)
        ]
        grew = sum(one.books.rows_after - one.books.rows_before for one in self.partitions)
        whole = self.books.rows_after - self.books.rows_before
        return found + ([f"Partitions grew by {grew:,} rows, the table by {whole:,}."] if grew != whole else [])

    def _differing(self, by: str, accounts: Sequence[Books], names: Sequence[str]) -> list[str]:
        told = {name: sum(int(getattr(one, name)) for one in accounts) for name in names}
        return [
            f"By {by} {rows:,} rows are {name}, by table {getattr(self.books, name):,}."
            for name, rows in told.items()
            if rows != getattr(self.books, name)
        ]

    def by_file(self) -> list[dict[str, Any]]:
        """The accounts of all files, with the columns that are not zero everywhere."""
        return _used([one.as_dict() for one in self.files])

    def outcome(self) -> Outcome:
        """The blocking check, with the accounts as tables: the largest files and partitions."""
        metadata: dict[str, Any] = {"account": as_table([self.books.as_dict()])}
        if self.files:
            metadata |= {"account_by_file": _largest(self.by_file()), "files": len(self.files)}
        if self.partitions:
            told = _used([one.as_dict() for one in self.partitions])
            metadata |= {"account_by_partition": _largest(told), "partitions": len(self.partitions)}
        said = str(self.books) if not self.problems else " ".join(self.problems)
        return Outcome(BOOKS, passed=not self.problems, blocks=True, description=said, metadata=metadata)


def _adds_up(books: Books) -> bool:
    """Whether every row of a file or partition went somewhere, and no more of them than there are."""
    counts = [int(getattr(books, name)) for name in OF_FILE]
    return books.read + books.released + books.exploded == books.explained and min(counts) >= 0


def _used(accounts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Accounts without the columns that are zero in all of them."""
    used = {name for one in accounts for name, value in one.items() if value} | {*_ALWAYS, "rows_before", "rows_after"}
    return [{name: value for name, value in one.items() if name in used} for one in accounts]


def _largest(accounts: Sequence[dict[str, Any]]) -> dg.TableMetadataValue:
    return as_table(sorted(accounts, key=lambda one: -int(one["read"]))[:SHOWN])
