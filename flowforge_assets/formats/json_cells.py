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
_BLANK = r"[ \t\n\r]*"
_PAIR = re.compile(
    rf'[ \t\n\r,]*"([^"\\]*(?:\\.[^"\\]*)*)"{_BLANK}:{_BLANK}(?:"([^"\\]*)"|([^"{{\[ \t\n\r,}}]+))?', re.DOTALL
).match
_SPACED = re.compile(r'"[ \t\r]+:').search
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


def rows_of_lines(text: str) -> list[Row] | None:
    """Return the rows of whole lines at once, three times as fast as one by one; None unless that is surely right.

    Each line begins and ends with a brace of its own, and there are no others, so no value runs over two lines.
    """
    text = text.strip()
    lines = text.count("}\n{") + text.count("}\r\n{") + 1
    if text.count("\n") + 1 != lines or not (text.startswith("{") and text.endswith("}")):
        return None
    rows = rows_of_elements(text.replace("\n", ","))
    return rows if rows is not None and len(rows) == lines else None


def rows_of_elements(text: str) -> list[Row] | None:
    """Return the rows of objects joined by commas; None unless all are flat and none has a key twice.

    There are as many braces as objects, so none is nested; and as many key ends as keys, so none came twice.
    """
    if "[" in text or "\\ud" in text or "\\uD" in text:
        return None
    try:
        rows, end = scan(f"[{text}]", 0)
    except NotJsonError:
        return None
    if not isinstance(rows, list) or end != len(text) + 2 or len(rows) != text.count("{"):
        return None
    once = text.count('":') == sum(map(len, rows)) and not _SPACED(text)
    return rows if once and all(type(row) is dict for row in rows) else None


def _exact(text: str, start: int, line: int) -> tuple[Row, int, list[Note]]:
    """Walk the pairs of an object that is known to be valid."""
    cells: Row = {}
    notes: list[Note] = []
    begun: dict[str, int] = {}
    at = start + 1
    while found := _PAIR(text, at):
        begin, at = at, found.end()
        key, value, word = found.groups()
        if "\\" in key:
            key = _string(text, text.index('"', begin))[0]
        if word is not None:
            value = None if word == "null" else word
        elif value is None:
            value, at = _value(text, at)
            if isinstance(value, _Escaped):
                notes.append(_note(text, begin, start, line, "half of a surrogate pair, kept escaped"))
        if key in cells:
            notes.append(_note(text, begun[key], start, line, "the key comes again, its last value stands"))
        cells[key], begun[key] = value, begin
    return cells, text.index("}", at) + 1, notes


class _Escaped(str):
    """A string's text as it was escaped in the file."""

    __slots__ = ()


def _note(text: str, begin: int, start: int, line: int, why: str) -> Note:
    """Return the pair that begins after a comma or blank, verbatim."""
    found = _PAIR(text, begin)
    end = found.end() if found else begin
    end = _value(text, end)[1] if text[end - 1] in ": \t\n\r" else end
    first = text.index('"', begin)
    return Note(line + text.count("\n", start, first), text[first:end], why)


def _string(text: str, at: int) -> tuple[str, int]:
    value, end = scanstring(text, at + 1, False)
    return (_Escaped(text[at + 1 : end - 1]) if _HALF_PAIR(value) else value), end


def _value(text: str, at: int) -> tuple[str, int]:
    """Return a string with escapes, or a nested value's text."""
    if text[at] == '"':
        return _string(text, at)
    end = _SCAN(text, at)[1]
    return text[at:end], end
