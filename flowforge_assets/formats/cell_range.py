"""Ranges of cells by name, as Excel writes them: `B3:F200` is rows 2 to 199, columns 1 to 5, from 0."""

from __future__ import annotations

import re

CELL_RANGE = re.compile(r"([A-Z]{1,3})([1-9]\d*):([A-Z]{1,3})([1-9]\d*)", re.IGNORECASE)


def parse_range(cell_range: str) -> tuple[int, int, int, int]:
    """Return top, left, bottom and right of `B3:F200`, from 0.

    Raises:
        ValueError: it is no range.
    """
    found = CELL_RANGE.fullmatch(cell_range.strip())
    if not found:
        raise ValueError(f"'{cell_range}' is no range of cells; write it like 'B3:F200'")
    left, top, right, bottom = found.groups()
    edges = int(top) - 1, _column(left), int(bottom) - 1, _column(right)
    if edges[0] > edges[2] or edges[1] > edges[3]:
        raise ValueError(f"'{cell_range}' ends before it begins; write first the upper left cell")
    return edges


def _column(letters: str) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def range_name(top: int, left: int, bottom: int, right: int) -> str:
    """Return the range's name; '' for one that holds nothing."""
    return f"{_letters(left)}{top + 1}:{_letters(right)}{bottom + 1}" if bottom >= top else ""


def _letters(column: int) -> str:
    name, number = "", column + 1
    while number:
        number, digit = divmod(number - 1, 26)
        name = chr(ord("A") + digit) + name
    return name
