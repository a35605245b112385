"""Whether a JSON object is a row or wraps the array that holds the rows, by the beginning of the document."""

from __future__ import annotations

import re

from flowforge_assets.formats.json_cells import NotJsonError, scan

WRAPPERS = frozenset({"data", "results", "records", "rows", "value", "features"})


def wrapper_key(head: str) -> str | None:
    """Return the key of an object whose array of objects is the table, by the beginning of the document.

    It is the object's only key, or one that by custom holds the rows, and the object is all of the document.
    """
    arrays = [key for key, opening in re.findall(r'"([^"\\]*)"\s*:\s*(\[\s*\{)', head[: 64 << 10]) if opening]
    first = re.match(r'\s*\{\s*"([^"\\]*)"\s*:\s*\[\s*\{', head)
    named = next((key for key in arrays if key.lower() in WRAPPERS and _top_level(head, key)), None)
    return named or (first.group(1) if first and _only_key(head) else None)


def _top_level(head: str, key: str) -> bool:
    """Tell whether a key is one of the outermost object's."""
    before = head[: head.index(f'"{key}"')]
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', "", before)
    return sum(map(bare.count, "{[")) - sum(map(bare.count, "}]")) == 1


def _only_key(head: str) -> bool:
    """Tell whether the first key's value runs to the end of the object, as far as the head shows."""
    start = head.index("[")
    try:
        end = scan(head, start)[1]
    except NotJsonError as error:
        return error.open_ended
    return bool(re.match(r"\s*\}\s*$", head[end:]))
