"""The types that a few objects of a JSON document show, column by column: cells are kept as text, so a look is enough.

A look is taken at each block that is read, so that a column which changes its type far down the file is seen to.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from flowforge_assets.bronze.type_ladder import common_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MOST_OBJECTS, MOST_CHARS = 200, 64 << 10
_BETWEEN = re.compile(r"[\s,\x00\x1a\ufeff]*").match
_DECODER = json.JSONDecoder()
_WORDS: dict[type, str] = {bool: "boolean", int: "bigint", float: "double", str: "text", dict: "json", list: "json"}


def types_of_objects(text: str, at: int = 0) -> dict[str, str]:
    """The type of each key of the objects that follow one another from `at` on; a key that is always null has none."""
    found: dict[str, str] = {}
    for one in _objects(text[at : at + MOST_CHARS]):
        for name, value in one.items():
            word = _WORDS.get(type(value))
            if word is not None:
                found[name] = common_type(found.get(name, word), word)
    return found


def types_of_lines(block: str) -> dict[str, str]:
    """As `types_of_objects`, of the first and the last lines of a block of whole lines."""
    last = len(block) - MOST_CHARS
    tail = block.find("\n", last) + 1 if last > 0 else 0
    return merged(types_of_objects(block), types_of_objects(block, _far_line(block, tail)))


def _far_line(block: str, start: int) -> int:
    """Where the last lines begin that are looked at; the end of a block without so many."""
    ends = len(block)
    for _ in range(MOST_OBJECTS):
        ends = block.rfind("\n", start, ends)
        if ends < 0:
            return start
    return ends + 1


def merged(found: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """The types that hold all of two looks."""
    return {**found, **{name: common_type(found.get(name, word), word) for name, word in more.items()}}


def _objects(text: str) -> Iterator[dict[str, object]]:
    at = 0
    for _ in range(MOST_OBJECTS):
        at = _BETWEEN(text, at).end()  # type: ignore[union-attr]  # matches nothing at least
        try:
            value, at = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            return
        if not isinstance(value, dict):
            return
        yield value
