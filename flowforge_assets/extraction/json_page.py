"""A page of JSON: its records as the text that stood there, and what is said beside them.

The text is kept, because a number that is read as one may come back as another.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowforge_assets.formats.json_cells import NotJsonError, scan
from flowforge_resources.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

_SPACE = re.compile(r"[ \t\n\r]*").match
_LINE_ENDS = re.compile(r"[\r\n]+")


class BadPageError(ValueError):
    """A page is not what the source declares; says what is wrong, and quotes nothing of it but names of keys."""

    def __init__(self, problem: str, fix: str) -> None:
        self.problem, self.fix = problem, fix
        super().__init__(problem)


@dataclass(frozen=True)
class JsonPage:
    """A page that is JSON. `whole`: its value, with numbers as text."""

    text: str
    whole: Any

    @classmethod
    def parse(cls, content: bytes, charset: str | None) -> JsonPage:
        """From the bytes; an empty page has no records.

        Raises:
            BadPageError: it is no text, or no JSON.
        """
        text = _decoded(content, charset)
        if not text.strip():
            return cls("[]", [])
        begin = _after_space(text, 0)
        try:
            whole, end = scan(text, begin)
        except NotJsonError as error:
            what = "HTML, not JSON" if text[begin : begin + 1] == "<" else f"not JSON: {error.why}"
            raise BadPageError(f"is {what} (at character {error.position:,}).", "Check `url` and `headers`.") from None
        if text[end:].strip():
            raise BadPageError("goes on behind its JSON.", "One JSON value a page is read; check `url`.")
        return cls(text, whole)

    def value(self, path: str) -> Any:
        """What stands at keys joined by dots; None where there is nothing."""
        found = self.whole
        for key in _keys(path):
            if not isinstance(found, dict):
                return None
            found = found.get(key)
        return found

    def records(self, path: str | None) -> Iterator[tuple[Any, str]]:
        """Every record with its text, in one line.

        Raises:
            BadPageError: there is no array.
        """
        at = self._array(_keys(path) if path else self._unpinned())
        at = _after_space(self.text, at + 1)
        while self.text[at] != "]":
            value, end = scan(self.text, at)
            yield value, _LINE_ENDS.sub(" ", self.text[at:end])
            at = _after_space(self.text, end)
            if self.text[at] == ",":
                at = _after_space(self.text, at + 1)

    def _unpinned(self) -> list[str]:
        """The way to the one array of the page."""
        if isinstance(self.whole, list):
            return []
        pairs = self.whole.items() if isinstance(self.whole, dict) else ()
        arrays = [key for key, value in pairs if isinstance(value, list)]
        if len(arrays) == 1:
            return arrays
        found = f" Arrays: {', '.join(sorted(arrays))}." if arrays else ""
        raise BadPageError(f"is neither an array nor an object with one array in it.{found}", "Declare `records`.")

    def _array(self, keys: list[str]) -> int:
        """Position of the array's bracket."""
        at, value = _after_space(self.text, 0), self.whole
        for number, key in enumerate(keys):
            if not isinstance(value, dict) or key not in value:
                hint = did_you_mean(key, map(str, value)) if isinstance(value, dict) else ""
                raise BadPageError(f"has no `{'.'.join(keys[: number + 1])}`.{hint}", "Correct `records`.")
            at, value = _position(self.text, at, key), value[key]
        if value is None:
            raise BadPageError(f"has null at `{'.'.join(keys)}`, not an array.", "Correct `records`.")
        if not isinstance(value, list):
            raise BadPageError(f"has no array at `{'.'.join(keys) or 'the top'}`.", "Correct `records`.")
        return at


def _keys(path: str) -> list[str]:
    """The keys of a path; `$.` before them, as JSONPath writes it, says nothing."""
    return [key for key in path.removeprefix("$").strip(".").split(".") if key]


def _position(text: str, at: int, wanted: str) -> int:
    """Where the last value of a key begins in the object at `at`, which is known to be valid."""
    found = -1
    at = _after_space(text, at + 1)
    while text[at] != "}":
        key, at = scan(text, at)
        at = _after_space(text, _after_space(text, at) + 1)
        found = at if key == wanted else found
        _, at = scan(text, at)
        at = _after_space(text, at)
        if text[at] == ",":
            at = _after_space(text, at + 1)
    return found


def _after_space(text: str, at: int) -> int:
    return _SPACE(text, at).end()  # type: ignore[union-attr]  # it also matches nothing


def _decoded(content: bytes, charset: str | None) -> str:
    """The text: JSON is UTF-8 unless a byte order mark or its zeros say otherwise, or else what the server says."""
    for encoding in (json.detect_encoding(content), charset):
        try:
            if encoding:
                return content.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    said = f" nor {charset}" if charset else ""
    raise BadPageError(f"is not text in UTF-8{said}.", "Ask the API's makers: JSON is UTF-8.")
