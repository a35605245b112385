"""Pairs of rows for which a condition holds, looked for without comparing every row with every other where that can be.

DuckDB joins by hash on what the condition has as `a.x = b.x`. Where it has two comparisons by order, such as
`a.pay > b.pay AND a.rate < b.rate`, it sorts both sides (IEJoin), unless there is an equality too: then the equality's hash
is made part of what is compared, so that rows of other values never meet. A million rows take 1.3 s so.

Belongs here: the join, and its bounds. Does not: what a condition is made of (`pair_condition`), the rule (`pairs`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowforge_checks.rules.pair_condition import Comparison, comparisons
from flowforge_resources.duck import one_row, quote
from flowforge_resources.errors import TooManyPairsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

# Rows compared one by one: some minutes at 150 million a second.
MOST_COMPARED = 20_000_000_000
# Pairs that are found: more say that the condition is not what was meant.
MOST_PAIRS = 10_000_000


@dataclass(frozen=True)
class PairJoin:
    """The pairs of rows `a` and `b` that share some columns and for which a condition holds.

    `rule`: its name, for errors. `shared`: columns, never null on either side.
    """

    rule: str
    sql: str
    shared: Sequence[str]

    def create(
        self, connection: duckdb.DuckDBPyConnection, name: str, wanted: str, sides: tuple[str, str], also: str
    ) -> None:
        """Create a table of `wanted` (a select list over `a` and `b`) of each pair.

        Args:
            connection: holds both sides.
            name: of the table.
            wanted: what is selected of a pair.
            sides: tables of the rows `a` and of the rows `b`; no queries, or DuckDB may compare all rows with all.
            also: SQL of what else is so of both, e.g. that they are two rows.

        Raises:
            TooManyPairsError: more rows than can be compared, or more pairs than anyone meant.
        """
        pairs = self._ordered(sides, also) or self._by_hash(connection, sides, also)
        connection.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT {wanted} FROM {pairs} LIMIT {MOST_PAIRS + 1}")
        if int(one_row(connection, f"SELECT count(*) FROM {name}")[0]) > MOST_PAIRS:
            raise TooManyPairsError(self.rule, f"its condition holds for more than {MOST_PAIRS:,} pairs of rows")

    @property
    def _compared(self) -> list[Comparison]:
        return comparisons(self.sql)

    def _equal(self) -> list[Comparison]:
        """What both rows share."""
        columns = [Comparison(f"a.{quote(name)}", "=", f"b.{quote(name)}") for name in self.shared]
        return [*columns, *(one for one in self._compared if one.operator == "=")]

    def _ordered(self, sides: tuple[str, str], also: str) -> str:
        """The join by order; empty where the condition has less than two comparisons by order."""
        ranges = [one for one in self._compared if one.by_order][:2]
        if len(ranges) < 2:  # noqa: PLR2004  # two orders are what an IEJoin needs
            return ""
        # Only the same expression of both rows has one hash for one value: types may differ between others.
        groups = [one for one in self._equal() if re.sub(r"\ba\s*\.", "b.", one.left) == one.right]
        first, second = ranges
        flipped = "-" if first.operator[0] == second.operator[0] else ""
        on = f"{self._packed(first, groups, '')} AND {self._packed(second, groups, flipped)}"
        a, b = (self._present(side, of, ranges) for side, of in zip(sides, ("a", "b"), strict=True))
        rest = " AND ".join([*(f"{one.left} = {one.right}" for one in self._equal()), f"({self.sql}\n)"])
        return f"{a} AS a JOIN {b} AS b ON {on} WHERE coalesce({rest}, FALSE){also}"

    @staticmethod
    def _packed(one: Comparison, groups: list[Comparison], sign: str) -> str:
        """A comparison that also orders rows by the hash of their group, so that two of them leave one group only."""
        if not groups:
            return f"{one.left} {one.operator} {one.right}"
        left, right = (
            f"row({sign}(hash({', '.join(each)}) >> 1)::BIGINT, {value})"
            for each, value in (([g.left for g in groups], one.left), ([g.right for g in groups], one.right))
        )
        return f"{left} {one.operator} {right}"

    @staticmethod
    def _present(side: str, of: str, ranges: list[Comparison]) -> str:
        """A side without rows that have nothing to compare: within `row()` null would be the greatest value."""
        values = [one.left if of == "a" else one.right for one in ranges]
        return f"(FROM {side} AS {of} WHERE {' AND '.join(f'({value}) IS NOT NULL' for value in values)})"

    def _by_hash(self, connection: duckdb.DuckDBPyConnection, sides: tuple[str, str], also: str) -> str:
        equal = self._equal()
        compared = self._rows_compared(connection, sides, equal)
        if compared > MOST_COMPARED:
            said = (
                f"{compared:,} pairs of rows would have to be compared one by one, and {MOST_COMPARED:,} are the most"
            )
            raise TooManyPairsError(self.rule, said)
        on = " AND ".join([*(f"{one.left} = {one.right}" for one in equal), f"({self.sql}\n)"])
        return f"{sides[0]} AS a JOIN {sides[1]} AS b ON {on}{also}"

    @staticmethod
    def _rows_compared(connection: duckdb.DuckDBPyConnection, sides: tuple[str, str], equal: list[Comparison]) -> int:
        """How many pairs of rows share what both must share."""
        counts = [int(one_row(connection, f"SELECT count(*) FROM {side}")[0]) for side in sides]
        if counts[0] * counts[1] <= MOST_COMPARED or not equal:
            return counts[0] * counts[1]
        a, b = (
            f"(SELECT {', '.join(f'{value} AS k{place}' for place, value in enumerate(values))}, count(*) AS n FROM {side} AS {of} GROUP BY ALL)"
            for side, of, values in (
                (sides[0], "a", [one.left for one in equal]),
                (sides[1], "b", [one.right for one in equal]),
            )
        )
        on = " AND ".join(f"l.k{place} = r.k{place}" for place, _ in enumerate(equal))
        return int(
            one_row(connection, f"SELECT coalesce(sum(l.n::HUGEINT * r.n), 0) FROM {a} AS l JOIN {b} AS r ON {on}")[0]
        )
