"""Where the bronze rows of each ledger entry lie: in a file of their own, or in a part of a compacted one.

A compaction changes where rows lie, and nothing else: entries keep their numbers, their order and their rows. So all
that counts by entries (what silver covers, what a rollback left out, which upload superseded which) stays as it is.

Belongs here: the places. Does not: the ledger they are read from, the making of compacted files (`compaction`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True)
class Replaced:
    """A ledger entry whose rows a compacted file holds: its version, and how many rows of Parquet they are."""

    version: int
    rows: int


class Span(NamedTuple):
    """Rows of a Parquet file: from `first` on, `end` not included."""

    first: int
    end: int


@dataclass(frozen=True)
class BronzePart:
    """The rows of one ledger entry. `span` is None where they are all the rows of their file.

    `ascii_blanks`: it is known that no blank stands in their text but ASCII's.
    """

    version: int
    committed_at: str
    run_id: str
    bronze_file: str
    rows: int
    span: Span | None = None
    ascii_blanks: bool = False


@dataclass(frozen=True)
class BronzeFile:
    """A bronze file of which some parts, in order, are wanted."""

    key: str
    parts: tuple[BronzePart, ...]

    @property
    def spans(self) -> list[Span]:
        """The wanted rows, neighbours joined; none where all of the file's are."""
        found: list[Span] = []
        for part in self.parts:
            if part.span is None:
                return []
            if found and found[-1].end == part.span.first:
                found[-1] = Span(found[-1].first, part.span.end)
            else:
                found.append(part.span)
        return found


def files_of(parts: Iterable[BronzePart]) -> list[BronzeFile]:
    """The files that hold some parts; files and parts in order of arrival."""
    return [BronzeFile(key, tuple(group)) for key, group in groupby(parts, key=lambda part: part.bronze_file)]


@dataclass(frozen=True)
class Compaction:
    """What a ledger entry says of a compaction: which file, since when, and whose rows it holds."""

    bronze_file: str
    committed_at: str
    replaces: Sequence[Replaced]


def compacted_places(compactions: Iterable[Compaction]) -> dict[int, tuple[str, Span]]:
    """The file and rows of each entry that was compacted, by version; of several compactions the last counts."""
    found: dict[int, tuple[str, Span]] = {}
    for one in compactions:
        first = 0
        for part in one.replaces:
            found[part.version] = one.bronze_file, Span(first, first + part.rows)
            first += part.rows
    return found


def left_files(own: dict[int, str], compactions: Iterable[Compaction]) -> dict[str, str]:
    """Committed files that hold the rows of no entry any more, and the moment since when.

    Args:
        own: the file each entry was committed with, by version.
        compactions: in order.
    """
    where, since = dict(own), dict[str, str]()
    for one in compactions:
        for part in one.replaces:
            since[where[part.version]] = one.committed_at
            where[part.version] = one.bronze_file
    living = set(where.values())
    return {key: moment for key, moment in since.items() if key not in living}
