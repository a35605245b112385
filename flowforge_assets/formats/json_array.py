"""JSON documents: an array of objects, an object with that array inside (`json_path`), or objects one after the other.

Streamed by elements into scratch; the file is never held. What is outside the array, no object, or broken goes to
`_rescued` verbatim; from the first place that is not JSON on, that is the rest of the file, in pieces.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flowforge_assets.formats.csv_source import BLOCK_BYTES, Source
from flowforge_assets.formats.file_options import MAX_COLUMNS
from flowforge_assets.formats.file_read import Note
from flowforge_assets.formats.json_cells import NotJsonError, cells_at, rows_of_elements, scan
from flowforge_assets.formats.json_types import merged, types_of_elements
from flowforge_assets.formats.json_wrapper import wrapper_key
from flowforge_assets.formats.ndjson import BLANK, text_encoding
from flowforge_assets.formats.text_parts import PartsRead, PartWriter
from flowforge_resources.errors import BadFileError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flowforge_assets.formats.text_parts import Row

MAX_VALUE_CHARS = 64 << 20
PIECE_CHARS = 1 << 20
_SPACE = re.compile(f"[{BLANK}]*").match


def read_json(
    path: Path,
    scratch_folder: Path,
    *,
    json_path: str | None = None,
    encoding: str | None = None,
    max_columns: int = MAX_COLUMNS,
    name: str | None = None,
) -> PartsRead:
    """Read a JSON document.

    Raises:
        BadFileError: `json_path` leads to no array.
    """
    source = Source(path)
    found, bom = text_encoding(source, encoding)
    blocks = (block.decode("utf-8", "surrogatepass") for block in source.utf8_blocks(found, bom, source.size))
    writer = PartWriter(scratch_folder, "json", max_columns)
    reader = _Document(_Text(blocks), writer, name or path.name)
    where = reader.read(None if json_path is None else tuple(json_path.split(".")))
    account = writer.account
    account.lines, account.redecoded = reader.text.lines, source.redecoded
    account.continuation = account.lines - account.rows - account.rescued
    return writer.finished({"format": "json", "encoding": found, "json_path": where}, reader.types)


@dataclass(slots=True)
class _Text:
    """The text from where reading stands; what was read is dropped."""

    blocks: Iterator[str]
    text: str = ""
    at: int = 0
    line: int = 1
    last: str = "\n"
    blocks_read: int = 0

    @property
    def lines(self) -> int:
        """Count of physical lines, after all was read."""
        return self.line + self.text.count("\n", self.at) - (self.last == "\n")

    def more(self) -> bool:
        """Append the next block; False at the end of the file."""
        block = next((block for block in self.blocks if block), "")
        self.text, self.at = self.text[self.at :] + block, 0
        self.last = block[-1:] or self.last
        self.blocks_read += 1
        return bool(block)

    def move(self, end: int) -> None:
        """Go on to a position, counting lines."""
        self.line += self.text.count("\n", self.at, end)
        self.at = end

    def peek(self) -> str:
        """Skip blanks; return the next character, '' at the end."""
        while True:
            self.move(_SPACE(self.text, self.at).end())  # type: ignore[union-attr]
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.more():
                return ""

    def skip(self, char: str) -> bool:
        """Skip one character, if it is the next."""
        if self.peek() != char:
            return False
        self.at += 1
        return True

    def element(self) -> tuple[Row | None, str, list[Note]]:
        """Return the value that comes next: cells if it is an object, its text, notes."""
        while True:
            try:
                cells, end, notes = cells_at(self.text, self.at, self.line)
            except NotJsonError as error:
                self._refill(error)
                continue
            if end == len(self.text) and cells is None and self.more():
                continue  # a number may go on in the next block
            raw = self.text[self.at : end]
            self.move(end)
            return cells, raw, notes

    def value(self) -> tuple[object, str]:
        """Return the value that comes next, and its text."""
        while True:
            try:
                value, end = scan(self.text, self.at)
            except NotJsonError as error:
                self._refill(error)
                continue
            raw = self.text[self.at : end]
            self.move(end)
            return value, raw

    def _refill(self, error: NotJsonError) -> None:
        if not error.open_ended or len(self.text) - self.at > MAX_VALUE_CHARS or not self.more():
            raise error

    def rest(self) -> Iterator[tuple[int, str]]:
        """Yield what is left in pieces, each with the line it begins on; end at a line's end where there is one."""
        while self.at < len(self.text) or self.more():
            stop = self.at + PIECE_CHARS
            cut = self.text.rfind("\n", self.at, stop) + 1 if stop < len(self.text) else 0
            line, begin = self.line, self.at
            self.move(cut or min(stop, len(self.text)))
            yield line, self.text[begin : self.at]


@dataclass(slots=True)
class _Document:
    """Finds the array and takes its elements."""

    text: _Text
    writer: PartWriter
    file: str
    seen: list[str] = field(default_factory=list)
    tried: int = 0
    types: dict[str, str] = field(default_factory=dict)

    def read(self, path: tuple[str, ...] | None) -> str:
        """Read all; return where the rows were found."""
        first, where = self.text.peek(), ".".join(path or ())
        try:
            if path:
                self._within(path, "")
            elif first == "[":
                self._elements()
            else:
                where = self._unpinned()
        except NotJsonError as error:
            self._rescue_rest(f"not JSON from here on: {error.why}")
        self._rescue_rest("after the JSON document")
        return where

    def _elements(self) -> None:
        """Take the elements of the array that begins here."""
        self.text.skip("[")
        if self.text.skip("]"):
            return
        while True:
            if not self._bulk():
                self._element("an element that is no object")
            if self.text.skip("]"):
                return
            if not self.text.skip(","):
                raise NotJsonError("a comma or ] is missing", self.text.at, open_ended=False)

    def _look_at_types(self) -> None:
        self.text.peek()
        self.types = merged(self.types, types_of_elements(self.text.text, self.text.at))

    def _bulk(self) -> bool:
        """Take all elements that lie whole in the buffer, if they are plain; tried once a block."""
        text = self.text
        if self.tried == text.blocks_read:
            return False
        self.tried = text.blocks_read
        self._look_at_types()
        cut = text.text.rfind("}", text.at) + 1
        rows = rows_of_elements(text.text[text.at : cut]) if cut else None
        if not rows or not self.writer.rows(rows, cut - text.at):
            return False
        text.move(cut)
        return True

    def _element(self, why_not: str) -> None:
        self.text.peek()
        line, (cells, raw, notes) = self.text.line, self.text.element()
        if cells is None:
            self._aside(line, raw, why_not)
        else:
            self.writer.row(cells, len(raw), line, notes)

    def _aside(self, line: int, raw: str, why: str) -> None:
        self.writer.account.rescued += 1
        self.writer.aside(Note(line, raw, why))

    def _within(self, path: tuple[str, ...], above: str) -> None:
        """Walk an object's pairs to the one on the path; what is beside it is set aside."""
        found = False
        for key in self._keys():
            here = f"{above}{key}"
            self.seen.append(here)
            if key != path[0] or found:
                self._outside(key)
            elif path[1:]:
                self._colon()
                self._within(path[1:], f"{here}.")
                found = True
            else:
                self._array(here)
                found = True
        if not found:
            raise self._no_array(f"{above}{path[0]}")

    def _keys(self) -> Iterator[str]:
        """Yield the keys of the object that begins here; the caller reads each value."""
        if not self.text.skip("{") or self.text.skip("}"):
            return
        while True:
            if self.text.peek() != '"':
                raise NotJsonError("a key is missing", self.text.at, open_ended=False)
            yield str(self.text.value()[0])
            if self.text.skip("}"):
                return
            if not self.text.skip(","):
                raise NotJsonError("a comma or } is missing", self.text.at, open_ended=False)

    def _colon(self) -> None:
        if not self.text.skip(":"):
            raise NotJsonError("a colon is missing", self.text.at, open_ended=False)

    def _array(self, here: str) -> None:
        self._colon()
        if self.text.peek() != "[":
            raise self._no_array(here)
        self._elements()

    def _outside(self, key: str) -> None:
        self._colon()
        self.text.peek()
        line, (_, raw) = self.text.line, self.text.value()
        self._aside(line, raw, f"outside the array: {key}")

    def _no_array(self, here: str) -> BadFileError:
        hint = did_you_mean(here, self.seen) if self.seen else ""
        return BadFileError(self.file, f"`json_path` finds no array at '{here}'.{hint}", "Correct `json_path`.")

    def _unpinned(self) -> str:
        """Read an object with the rows in its one array, or objects one after the other."""
        wrapper = wrapper_key(self._head())
        if wrapper:
            self._within((wrapper,), "")
            return wrapper
        self._look_at_types()
        while self.text.peek():
            self._element("a value that is no object")
            self.text.skip(",")
        return ""

    def _head(self) -> str:
        while len(self.text.text) < BLOCK_BYTES and self.text.more():
            pass
        return self.text.text[self.text.at :]

    def _rescue_rest(self, why: str) -> None:
        for line, raw in self.text.rest():
            if raw.strip(BLANK):
                self.writer.account.rescued += raw.rstrip("\n").count("\n")
                self._aside(line, raw, why)
