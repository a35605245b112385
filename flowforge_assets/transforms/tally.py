"""What transforms did to the number of rows, for the books: each filtered, routed or exploded row is counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from flowforge_resources.duck import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    import duckdb

    from flowforge_assets.transforms.base import Rows
    from flowforge_checks.books import Books

COUNTED = ("filtered", "routed", "exploded")


@dataclass(frozen=True)
class Change:
    """A transform after which there are more or fewer rows: its column of the books, and the view behind it.

    `dropped`: rows that a Python function left out, by landed file.
    """

    rows: Rows
    view: str
    dropped: Mapping[str, int] | None = None


@dataclass
class Tally:
    """The changes of a table's transforms in order, from the view of the rows they start with."""

    start: str = ""
    changes: list[Change] = field(default_factory=list)
    _rows: dict[str, Counter[str]] = field(default_factory=dict)

    def account(self, connection: duckdb.DuckDBPyConnection, books: Books) -> Books:
        """The account of the rows that came out of the transforms, made one of the rows that went in."""
        if not self.changes:
            return books
        told = self._told(connection, Counter({"": books.read}), by_file=False)
        return replace(books, **{name: counts[""] for name, counts in told.items()})

    def by_file(self, connection: duckdb.DuckDBPyConnection, out: Counter[str]) -> dict[str, Counter[str]]:
        """Rows read, filtered, routed and exploded, each by landed file. `out`: rows that came out, by file."""
        return self._told(connection, out, by_file=True)

    def _told(
        self, connection: duckdb.DuckDBPyConnection, out: Counter[str], *, by_file: bool
    ) -> dict[str, Counter[str]]:
        before = read = self._counts(connection, self.start, by_file=by_file)
        told: dict[str, Counter[str]] = {"read": read, **{name: Counter() for name in COUNTED}}
        for change in self.changes:
            after = out if change is self.changes[-1] else self._counts(connection, change.view, by_file=by_file)
            for name in before | after:
                dropped = _dropped(change, name)
                more = after[name] - before[name] + dropped
                told["filtered"][name] += dropped
                told[change.rows][name] += more if change.rows == "exploded" else -more
            before = after
        return told

    def _counts(self, connection: duckdb.DuckDBPyConnection, view: str, *, by_file: bool) -> Counter[str]:
        """Rows of a view by landed file, counted once; or all of them, under no name."""
        if view not in self._rows:
            query = f"SELECT _source_file, count(*) FROM {quote(view)} GROUP BY ALL ORDER BY ALL"
            self._rows[view] = Counter({name: int(rows) for name, rows in connection.execute(query).fetchall()})
        counted = self._rows[view]
        return counted if by_file else Counter({"": counted.total()})


def _dropped(change: Change, group: str) -> int:
    """Rows of a file that a Python function left out; of all files where the group has no name."""
    dropped = change.dropped or {}
    return dropped.get(group, 0) if group else sum(dropped.values())
