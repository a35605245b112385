"""Pairs of rows for which a condition holds, looked for without comparing every row with every other where that can be.

DuckDB joins by hash on what the condition has as `a.x = b.x`. Where it has two comparisons by order, such as
`a.pay > b.pay AND a.rate < b.rate`, it sorts both sides (IEJoin), unless there is an equality too: then the equality's hash
is made part of what is compared, so that rows of other values never meet. A million rows take 1.3 s so.

Belongs here: what a condition is made of, the join, and its bounds. Does not: the rule (`pairs`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowforge_resources.duck import one_row, quote
from flowforge_resources.errors import TooManyPairsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import duckdb

# Rows compared one by one: some minutes at 150 million a second.
MOST_COMPARED = 20_000_000_000
# Pairs that are found: more say that the condition is not what was meant.
MOST_PAIRS = 10_000_000
_TOKEN = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|[A-Za-z_]\w*|\d[\w.]*|<>|!=|<=|>=|==|->|::|\s+|.", re.DOTALL
)
_COMPARES = ("<", ">", "<=", ">=", "=", "==")
# Words beside a comparison that make it say something else, or that this does not read.
_UNREAD = frozenset(
    [
        "or",
        "not",
        "is",
        "in",
        "like",
        "ilike",
        "between",
        "select",
        "similar",
        "glob",
        "collate",
        "escape",
        "any",
        "all",
    ]
)
_OPENS, _CLOSES = frozenset(["(", "[", "{", "case"]), frozenset([")", "]", "}", "end"])


@dataclass(frozen=True)
class Comparison:
    """One comparison of a condition: an expression over `a`, an operator, and one over `b`."""

    left: str
    operator: str
    right: str

    @property
    def by_order(self) -> bool:
        """Whether it is one of less and more."""
        return self.operator[0] in "<>"


def comparisons(sql: str) -> list[Comparison]:
    """The comparisons between a row `a` and a row `b` that must all hold for a condition to hold; those that are found."""
    return [one for part in _conjuncts(sql) if (one := _comparison(part))]


def _conjuncts(sql: str) -> Iterator[list[str]]:
    """The parts of a condition that AND joins at its top, as tokens; none where it is of another form."""
    tokens, depth = [one for one in _TOKEN.findall(sql) if not one.startswith(("--", "/*"))], 0
    parts: list[list[str]] = [[]]
    for token in tokens:
        word = token.lower()
        depth += (word in _OPENS) - (word in _CLOSES)
        if not depth and word in ("or", "between"):
            return
        if not depth and word == "and":
            parts.append([])
        else:
            parts[-1].append(token)
    yield from parts


def _comparison(tokens: list[str]) -> Comparison | None:
    depth, places = 0, []
    for place, token in enumerate(tokens):
        word = token.lower()
        depth += (word in _OPENS) - (word in _CLOSES)
        if word in _UNREAD or (token in ("->", "<>", "!=") and not depth):
            return None
        if not depth and token in _COMPARES:
            places.append(place)
    if len(places) != 1:
        return None
    left, right = tokens[: places[0]], tokens[places[0] + 1 :]
    operator = tokens[places[0]].replace("==", "=")
    sides = _sides(left), _sides(right)
    if sides == ({"b"}, {"a"}):
        left, right, sides = right, left, ({"a"}, {"b"})
        operator = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}.get(operator, operator)
    if sides != ({"a"}, {"b"}):
        return None
    return Comparison("".join(left).strip(), operator, "".join(right).strip())


def _sides(tokens: list[str]) -> set[str]:
    """Which of the rows an expression names; `?` for a name that says none."""
    words = [token for token in tokens if not token.isspace()]
    found = set()
    for place, token in enumerate(words):
        behind = words[place + 1] if place + 1 < len(words) else ""
        before = words[place - 1] if place else ""
        if token.lower() in ("a", "b") and before != ".":
            found.add(token.lower() if behind == "." else "?")
    return found


def names_rows(sql: str) -> bool:
    """Whether a condition names `a` or `b` as a whole row."""
    return "?" in _sides(_TOKEN.findall(sql))


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
