"""The books: the account of one run of one table. Every row read is in exactly one column of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True)
class Books:
    """Rows read, and where each went. `rows_before` and `rows_after` are the table's own counts, taken independently.

    `deduplicated` rows are told apart: `duplicates_exact` say the same as the row that counts, `duplicates_conflicting`
    something else. `closed`: deletes that ended a version; `truncates`: rows that said to clear the table. Beside what
    was inserted and deleted by a row of its own, a table grows by `rows_split` (later parts of versions a late row
    split) and shrinks by `rows_removed` (truncated, absent from a full extract, or merged into another version).
    `exploded`: rows that transforms added; `released`: rows that waited in quarantine and were let go. Both are explained
    like those that were read. `discarded`: rows of which a person said that they stay out. `dropped`: rows that break a
    rule of action `drop`, and none of action `quarantine`.
    """

    read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deduplicated: int = 0
    late: int = 0
    deleted: int = 0
    closed: int = 0
    truncates: int = 0
    quarantined: int = 0
    duplicates_exact: int = 0
    duplicates_conflicting: int = 0
    rows_split: int = 0
    rows_removed: int = 0
    rows_before: int = 0
    rows_after: int = 0
    exploded: int = 0
    filtered: int = 0
    routed: int = 0
    dropped: int = 0
    released: int = 0
    discarded: int = 0

    @property
    def explained(self) -> int:
        """Rows that some column of the account explains."""
        return sum(getattr(self, name) for name in ACCOUNT)

    @property
    def balances(self) -> bool:
        """Whether every row read is explained, and the table grew by exactly what the account says."""
        return (
            self.read + self.released + self.exploded == self.explained
            and self.deduplicated == self.duplicates_exact + self.duplicates_conflicting
            and self.rows_after == self.rows_before + sum(sign * getattr(self, name) for name, sign in GROWTH.items())
        )

    def __str__(self) -> str:
        account = " + ".join(f"{count:,} {name}" for name in ACCOUNT if (count := getattr(self, name)))
        grew = "".join(
            f" {'+' if sign > 0 else '-'} {count:,} {name.removeprefix('rows_')}"
            for name, sign in GROWTH.items()
            if (count := getattr(self, name)) or name == "inserted"
        )
        said = "; " if self.balances else "; does not balance: "
        exploded = f" + {self.exploded:,} exploded" if self.exploded else ""
        released = f" + {self.released:,} released" if self.released else ""
        return f"{self.read:,} read{released}{exploded} = {account or 0}{said}{self.rows_before:,} rows{grew} = {self.rows_after:,} rows"

    def as_dict(self) -> dict[str, int]:
        """The account by column, in order."""
        return asdict(self)

    @classmethod
    def of(cls, account: Mapping[str, int]) -> Books:
        """An account as `as_dict` wrote it; columns it does not know are left out."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in account.items() if name in known})


ACCOUNT = (
    "inserted",
    "updated",
    "unchanged",
    "deduplicated",
    "late",
    "deleted",
    "closed",
    "truncates",
    "quarantined",
    "discarded",
    "filtered",
    "routed",
    "dropped",
)
# What makes the table longer (+1) or shorter (-1).
GROWTH = {"inserted": 1, "deleted": -1, "rows_split": 1, "rows_removed": -1}


def total(accounts: Iterable[Books]) -> dict[str, int]:
    """The sum of several accounts, by column."""
    rows = [account.as_dict() for account in accounts]
    return {field.name: sum(row[field.name] for row in rows) for field in fields(Books)}
