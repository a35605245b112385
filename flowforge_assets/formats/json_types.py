"""The types a JSON document's first objects show, column by column: a look at a few, because cells are kept as text."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from flowforge_assets.bronze.type_ladder import common_type

if TYPE_CHECKING:
    from collections.abc import Iterator

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
