"""What a condition over two rows `a` and `b` compares, as far as it is joined by AND; the text stays as it was written.

Belongs here: reading the condition. Does not: the join that uses it (`pair_join`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlglot import Token

_OPENS = frozenset(["L_PAREN", "L_BRACKET", "L_BRACE", "CASE"])
_CLOSES = frozenset(["R_PAREN", "R_BRACKET", "R_BRACE", "END"])
_COMPARES = {"GT": ">", "GTE": ">=", "LT": "<", "LTE": "<=", "EQ": "="}
_TURNED = {">": "<", ">=": "<=", "<": ">", "<=": ">=", "=": "="}
# What beside a comparison makes it say something else, or is not read.
_WORDS = ("OR", "NOT", "IS", "IN", "LIKE", "ILIKE", "SIMILAR_TO", "GLOB", "RLIKE", "BETWEEN", "ESCAPE", "COLLATE")
_UNREAD = frozenset([*_WORDS, "SELECT", "ANY", "ALL", "SOME", "ARROW"])


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
    return [one for part in _conjuncts(_tokens(sql)) if (one := _comparison(sql, part))]


def names_rows(sql: str) -> bool:
    """Whether a condition names `a` or `b` as a whole row."""
    return "?" in _sides(_tokens(sql))


def _tokens(sql: str) -> list[Token]:
    from sqlglot import tokenize

    return tokenize(sql, dialect="duckdb")


def _outside(tokens: Sequence[Token]) -> Iterator[tuple[int, str]]:
    """The tokens that stand in no brackets, with their places and kinds."""
    depth = 0
    for place, token in enumerate(tokens):
        kind = token.token_type.name
        depth += (kind in _OPENS) - (kind in _CLOSES)
        if not depth:
            yield place, kind


def _conjuncts(tokens: Sequence[Token]) -> Iterator[Sequence[Token]]:
    """The parts of a condition that AND joins at its top; none where it is of another form."""
    kinds = list(_outside(tokens))
    if {kind for _, kind in kinds} & {"OR", "BETWEEN", "XOR"}:
        return
    begin = 0
    for place in [*(place for place, kind in kinds if kind == "AND"), len(tokens)]:
        yield tokens[begin:place]
        begin = place + 1


def _comparison(sql: str, tokens: Sequence[Token]) -> Comparison | None:
    if any(token.token_type.name in _UNREAD for token in tokens):
        return None
    found = [(place, kind) for place, kind in _outside(tokens) if kind in _COMPARES or kind == "NEQ"]
    if len(found) != 1 or found[0][1] == "NEQ":
        return None
    place, kind = found[0]
    left, right, operator = tokens[:place], tokens[place + 1 :], _COMPARES[kind]
    sides = _sides(left), _sides(right)
    if sides == ({"b"}, {"a"}):
        return Comparison(_text(sql, right), _TURNED[operator], _text(sql, left))
    return Comparison(_text(sql, left), operator, _text(sql, right)) if sides == ({"a"}, {"b"}) else None


def _sides(tokens: Sequence[Token]) -> set[str]:
    """Which of the rows an expression names; `?` where it names one as a whole, or what it names is not known."""
    found = set()
    for place, token in enumerate(tokens):
        behind = tokens[place + 1].token_type.name if place + 1 < len(tokens) else ""
        before = tokens[place - 1].token_type.name if place else ""
        name = token.text.lower()
        if name in ("a", "b") and token.token_type.name in ("VAR", "IDENTIFIER") and before != "DOT":
            found.add(name if behind == "DOT" else "?")
    return found


def _text(sql: str, tokens: Sequence[Token]) -> str:
    return sql[tokens[0].start : tokens[-1].end + 1]
