"""Bronze that a rollback left out: ranges of ledger versions, as a footer carries them from version to version."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

# Sorted, apart, both ends included.
Ranges = tuple[tuple[int, int], ...]
LEFT_OUT = "left_out"


def left_out_of(facts: Mapping[str, Any]) -> Ranges:
    """The bronze a published version leaves out, by its footer."""
    return tuple((int(first), int(last)) for first, last in facts.get(LEFT_OUT, ()))


def joined(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """The same versions in as few ranges as there can be; a range that ends before it begins holds none."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(one for one in ranges if one[0] <= one[1]):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return tuple(found)


def is_in(version: int, ranges: Ranges) -> bool:
    """Whether a ledger version is in one of the ranges."""
    return any(first <= version <= last for first, last in ranges)
