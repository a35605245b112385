"""Rows, files and dice: what the generator builds with. No table and no flaw is decided here.

A row is the text that will stand in the file, and the flaws that were put on it. Line numbers are known only when a
file is written, so a flaw hangs on its row until then.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")


class Dice:
    """Seeded choices built on `random()` alone, the one method whose sequence Python promises to keep."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed).random

    def below(self, limit: int) -> int:
        """Give a number from 0 to `limit` - 1."""
        return int(self._random() * limit)

    def between(self, low: int, high: int) -> int:
        """Give a number from `low` to `high`, both included."""
        return low + self.below(high - low + 1)

    def chance(self, probability: float) -> bool:
        """Give True with this probability."""
        return self._random() < probability

    def pick(self, options: Sequence[T]) -> T:
        """Give one of the options."""
        return options[self.below(len(options))]

    def weighted(self, options: Sequence[tuple[T, int]]) -> T:
        """Give one of the options, each as likely as its weight says."""
        mark = self.below(sum(weight for _, weight in options))
        for option, weight in options:
            mark -= weight
            if mark < 0:
                return option
        raise AssertionError(options)

    def some(self, options: Sequence[T], count: int) -> list[T]:
        """Pick `count` different options, in random order."""
        pool = list(options)
        if count > len(pool):
            raise ValueError(f"{count} wanted, {len(pool)} there")
        return [pool.pop(self.below(len(pool))) for _ in range(count)]

    def moment(self, day: str) -> str:
        """Give a timestamp within the opening hours of the day."""
        return f"{day} {self.between(7, 18):02d}:{self.between(0, 59):02d}:{self.between(0, 59):02d}"


@dataclass(frozen=True)
class Flaw:
    """One awkwardness: its kind, a note for the reader, and the accounts it adds one row to (rules, `late`, …)."""

    kind: str
    note: str
    counts: tuple[str, ...] = ()


@dataclass(eq=False)
class Row:
    """One record as it will stand in a file. `free`: nothing awkward was done with its key yet."""

    values: dict[str, str]
    flaws: list[Flaw] = field(default_factory=list)
    free: bool = True

    def copy(self, **changes: str) -> Row:
        """Give a new row with these values changed, without the flaws."""
        return Row(self.values | changes, free=False)

    def spoil(self, kind: str, note: str, *counts: str, **changes: str) -> Row:
        """Change the values and note the flaw; `counts` are the accounts it adds one row to."""
        self.values.update(changes)
        self.flaws.append(Flaw(kind, note, counts))
        self.free = False
        return self


@dataclass(eq=False)
class File:
    """One landing file."""

    day: str
    table: str
    name: str
    columns: tuple[str, ...]
    rows: list[Row]
    delimiter: str = ","
    line_end: str = "\n"

    @property
    def path(self) -> str:
        """Give the file's place below the output folder."""
        return f"{self.day}/{self.table}/{self.name}"

    def text(self) -> str:
        """Give the file's content."""
        records = [self.columns, *(tuple(row.values[column] for column in self.columns) for row in self.rows)]
        return "".join(self._record(values) for values in records)

    def lines(self) -> Iterator[tuple[int, int, Row]]:
        """Give (line in an editor, record number, row); a quoted newline makes the two differ."""
        line = 2
        for number, row in enumerate(self.rows, start=1):
            yield line, number, row
            line += self._record(tuple(row.values[column] for column in self.columns)).count("\n")

    def take(self, dice: Dice, count: int, where: Callable[[Row], bool] = lambda _: True) -> list[Row]:
        """Pick `count` free rows and mark them, so that no row gets a second flaw by accident."""
        rows = dice.some([row for row in self.rows if row.free and where(row)], count)
        for row in rows:
            row.free = False
        return rows

    def put_after(self, dice: Dice, earlier: Row, row: Row) -> None:
        """Insert `row` anywhere below `earlier`."""
        self.rows.insert(dice.between(self.rows.index(earlier) + 1, len(self.rows)), row)

    def put_before(self, dice: Dice, later: Row, row: Row) -> None:
        """Insert `row` anywhere above `later`."""
        self.rows.insert(dice.between(0, self.rows.index(later)), row)

    def put(self, dice: Dice, row: Row) -> None:
        """Insert `row` anywhere."""
        self.rows.insert(dice.between(0, len(self.rows)), row)

    def _record(self, values: tuple[str, ...]) -> str:
        return self.delimiter.join(self._quoted(value) for value in values) + self.line_end

    def _quoted(self, value: str) -> str:
        if any(mark in value for mark in (self.delimiter, '"', "\n", "\r")):
            return '"' + value.replace('"', '""') + '"'
        return value
