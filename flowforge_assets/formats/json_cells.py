"""A JSON object's text as cells: each top-level value as the text that stood there, nested ones verbatim.

Numbers keep their digits, strings are unescaped, true and false are words, null is null. Nothing is guessed. A repeated
key keeps its last value; the earlier pair becomes a note. Half a surrogate pair, which no text can hold, stays escaped.
"""

from __future__ import annotations

import json
import re
from json.decoder import JSONDecodeError, scanstring  # type: ignore[attr-defined]
from typing import TYPE_CHECKING

from flowforge_assets.formats.file_read import Note

if TYPE_CHECKING:
    from flowforge_assets.formats.text_parts import Row

_DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str, strict=False)
_SCAN = _DECODER.scan_once  # type: ignore[attr-defined]
_SPACE = re.compile(r"[ \t\n\r]*").match
_KEYS = re.compile(r'"\s*:').findall
_HALF_PAIR = re.compile("[\ud800-\udfff]").search


class NotJsonError(ValueError):
    """The text is no JSON value from `position` on; `open_ended` if it may be the beginning of one."""

    def __init__(self, why: str, position: int, *, open_ended: bool) -> None:
        super().__init__(why)
        self.why, self.position, self.open_ended = why, position, open_ended


def scan(text: str, start: int) -> tuple[object, int]:
    """Return the value that begins at `start` (numbers as text) and where it ends."""
    try:
        found: tuple[object, int] = _SCAN(text, start)
    except StopIteration as stop:
        raise _not_json(text, "a value is missing", int(stop.value)) from None
    except JSONDecodeError as error:
        raise _not_json(text, error.msg, error.pos) from None
    except RecursionError:
        raise NotJsonError("nested too deeply", start, open_ended=False) from None
    return found


def _not_json(text: str, why: str, position: int) -> NotJsonError:
    """Tell text that ends too soon from text that is wrong: the error stands at the end, or a string never closes."""
    cut = position >= len(text) - len("-Infinity") or why.startswith("Unterminated")
    return NotJsonError(why, position, open_ended=cut)


def cells_at(text: str, start: int, line: int) -> tuple[Row | None, int, list[Note]]:
    """Return the cells of the object at `start`, where it ends, and notes; None for a value that is no object."""
    value, end = scan(text, start)
    if not isinstance(value, dict):
        return None, end, []
    if _plain(text, start, end, len(value)):
        return value, end, []
    return _exact(text, start, line)


def _plain(text: str, start: int, end: int, keys: int) -> bool:
    """Tell whether the parsed object is right as it is: flat, no key twice, no half of a surrogate pair.

    Each key is followed by a colon: as many colons as distinct keys prove that none came twice.
    """
    flat = text.find("{", start + 1, end) < 0 and text.find("[", start, end) < 0
    if not flat or text.find("\\ud", start, end) >= 0 or text.find("\\uD", start, end) >= 0:
        return False
    return text.count(":", start, end) == keys or len(_KEYS(text[start:end])) == keys


def _exact(text: str, start: int, line: int) -> tuple[Row, int, list[Note]]:
    """Walk the pairs of an object that is known to be valid."""
    cells: Row = {}
    notes: list[Note] = []
    pairs: dict[str, tuple[int, int]] = {}
    at = _SPACE(text, start + 1).end()  # type: ignore[union-attr]
    while text[at] != "}":
        begin = at
        key, at = _string(text, at)
        at = _SPACE(text, _SPACE(text, at).end() + 1).end()  # type: ignore[union-attr]
        value, end = _value(text, at)
        if key in pairs:
            notes.append(_note(text, *pairs[key], start, line, "the key comes again, its last value stands"))
        if isinstance(value, _Escaped):
            notes.append(_note(text, begin, end, start, line, "half of a surrogate pair, kept escaped"))
        cells[key], pairs[key] = value, (begin, end)
        at = _SPACE(text, end).end()  # type: ignore[union-attr]
        at = _SPACE(text, at + 1).end() if text[at] == "," else at  # type: ignore[union-attr]
    return cells, at + 1, notes


class _Escaped(str):
    """A string's text as it was escaped in the file."""

    __slots__ = ()


def _note(text: str, begin: int, end: int, start: int, line: int, why: str) -> Note:  # noqa: PLR0917
    return Note(line + text.count("\n", start, begin), text[begin:end], why)


def _string(text: str, at: int) -> tuple[str, int]:
    value, end = scanstring(text, at + 1, False)
    return (_Escaped(text[at + 1 : end - 1]) if _HALF_PAIR(value) else value), end


def _value(text: str, at: int) -> tuple[str | None, int]:
    if text[at] == '"':
        return _string(text, at)
    end = _SCAN(text, at)[1]
    return (None if text[at] == "n" else text[at:end]), end
