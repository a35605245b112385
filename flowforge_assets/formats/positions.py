"""Where the columns of a fixed-width file are, as declared: widths, or `name:start-end`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMED = re.compile(r"(?P<name>.+):(?P<start>[1-9]\d*)-(?P<end>[1-9]\d*)?")


@dataclass(frozen=True, slots=True)
class Field:
    """One column: characters from `start` to before `end` (None: to the line's end); '' for a name the header gives."""

    name: str
    start: int
    end: int | None


def fields_of(widths: Sequence[int], columns: Sequence[str]) -> tuple[Field, ...]:
    """Return what is declared: widths one after the other, or columns like `total:21-30` (from 1, the end included).

    Raises:
        ValueError: a column is not written so, or two overlap.
    """
    if columns:
        return _named(columns)
    ends = [sum(widths[: i + 1]) for i in range(len(widths))]
    return tuple(Field("", start, end) for start, end in pairwise([0, *ends]))


def _named(columns: Sequence[str]) -> tuple[Field, ...]:
    fields = []
    for column in columns:
        found = NAMED.fullmatch(column)
        if not found:
            raise ValueError(f"'{column}' is no column; write it like 'total:21-30', counted from 1")
        start, end = int(found["start"]) - 1, int(found["end"]) if found["end"] else None
        if end is not None and end <= start:
            raise ValueError(f"'{column}' ends before it starts")
        fields.append(Field(found["name"].strip(), start, end))
    for one, other in pairwise(sorted(fields, key=lambda field: field.start)):
        if one.end is None or one.end > other.start:
            raise ValueError(f"the columns '{one.name}' and '{other.name}' overlap")
    return tuple(sorted(fields, key=lambda field: field.start))
