"""The types that a few objects of a JSON document show, column by column: cells are kept as text, so a look is enough.

A look is taken at each block that is read, at its first objects and at some further down (of lines: at the last ones), so
that a column which changes its type far down the file is seen to.
"""

from __future__ import annotations

import json
import re
from itertools import islice, takewhile
from typing import TYPE_CHECKING

from flowforge_assets.bronze.type_ladder import common_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MOST_OBJECTS, MOST_CHARS = 200, 64 << 10
PLACES, FEW_CHARS, MOST_TRIES = 10, 16 << 10, 40
_NEXT = re.compile(r"\}[\s,]*(?=\{)").finditer
_BETWEEN = re.compile(r"[\s,\x00\x1a\ufeff]*").match
_DECODER = json.JSONDecoder()
_WORDS: dict[type, str] = {bool: "boolean", int: "bigint", float: "double", str: "text", dict: "json", list: "json"}


def types_of_objects(text: str, at: int = 0) -> dict[str, str]:
    """The type of each key of the objects that follow one another from `at` on; a key that is always null has none."""
    return _types(_objects(text[at : at + MOST_CHARS]))


def types_of_elements(text: str, at: int = 0) -> dict[str, str]:
    """As `types_of_objects`, of the first objects and of some at places further down, to the end of the text.

    Where an object ends and another begins may be within a nested value: one is believed to be an element if it has all
    the keys that the first ones share.
    """
    first = list(_objects(text[at : at + MOST_CHARS]))
    shared = frozenset.intersection(*map(frozenset, first)) if first else frozenset()
    found = _types(first)
    if len(text) - at <= MOST_CHARS and len(first) < MOST_OBJECTS:
        return found  # they are all there are
    for part in range(1, PLACES + 1) if shared else ():
        place = at + (len(text) - at) * part // PLACES - (FEW_CHARS if part == PLACES else 0)
        if place > at:
            found = merged(found, _types(_elements_from(text, place, shared)))
    return found


def _elements_from(text: str, place: int, shared: frozenset[str]) -> Iterator[dict[str, object]]:
    """Yield a few elements behind a place."""
    window = text[place : place + FEW_CHARS]
    for begin in islice(_NEXT(window), MOST_TRIES):
        few = list(takewhile(lambda one: one.keys() >= shared, _objects(window, begin.end(), FEW_CHARS)))
        if few:
            yield from few
            return


def _types(objects: Iterable[Mapping[str, object]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in objects:
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


def _objects(text: str, at: int = 0, most: int = MOST_OBJECTS) -> Iterator[dict[str, object]]:
    for _ in range(most):
        at = _BETWEEN(text, at).end()  # type: ignore[union-attr]  # matches nothing at least
        try:
            value, at = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            return
        if not isinstance(value, dict):
            return
        yield value
