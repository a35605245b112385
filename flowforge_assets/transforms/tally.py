"""What transforms did to the number of rows, for the books: each filtered, routed or exploded row is counted."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from flowforge_resources.duck import one_row, quote

if TYPE_CHECKING:
    import duckdb

    from flowforge_assets.transforms.base import Rows
    from flowforge_checks.books import Books


@dataclass(frozen=True)
class Change:
    """A transform after which there are more or fewer rows: its column of the books, and the view behind it.

    `dropped` and `repeated`: of a Python function, counted when it ran.
    """

    rows: Rows
    view: str
    dropped: int | None = None
    repeated: int = 0


@dataclass
class Tally:
    """The changes of a table's transforms in order, from the view of the rows they start with."""

    start: str = ""
    changes: list[Change] = field(default_factory=list)

    def account(self, connection: duckdb.DuckDBPyConnection, books: Books) -> Books:
        """The account of the rows that came out of the transforms, made one of the rows that went in."""
        if not self.changes:
            return books
        out = books.read
        before = read = _count(connection, self.start)
        counted = {"filtered": 0, "routed": 0, "exploded": 0}
        for change in self.changes:
            after = out if change is self.changes[-1] else _count(connection, change.view)
            if change.dropped is not None:
                counted["filtered"] += change.dropped
                counted["exploded"] += change.repeated
            else:
                counted[change.rows] += after - before if change.rows == "exploded" else before - after
            before = after
        return replace(books, read=read, **counted)


def _count(connection: duckdb.DuckDBPyConnection, view: str) -> int:
    return int(one_row(connection, f"SELECT count(*) FROM {quote(view)}")[0])
