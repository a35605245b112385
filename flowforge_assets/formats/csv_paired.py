"""Cells in quotes that no CSV reader takes for such: “curly”, «guillemets», „low“, þ on both sides, |bars| or ~tildes~.

Rewritten line by line as cells in straight quotes (`csv_guise`). An opening and a closing mark count only at the edges
of a cell; within one they are text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Marks that tell left from right may stand around some cells only; others have to stand around nearly all.
SIDED = (("“", "”"), ("„", "“"), ("„", "”"), ("«", "»"), ("»", "«"))
EVEN_HANDED = ("þ", "|", "~", "^", "%", "$", "*")
DELIMITERS = (",", ";", "\t", "|", "\x14", "^", "~", ":", " ")
AT_EDGES, RECORDS, FEWEST = 0.9, 0.3, 3


@dataclass(slots=True)
class Paired:
    """Which marks stand around cells, and what parts them. `as_csv` is asked for each line in turn."""

    left: str
    right: str
    delimiter: str
    inside: bool = False

    def as_csv(self, line: str) -> str:
        """Write a line with straight quotes around what stands between the marks; a cell may go on over line ends."""
        pieces: list[str] = []
        position = 0
        if self.inside and not self._opens_first(line):
            stop = self._close(line, 0)
            if stop < 0:
                return _doubled(line)
            pieces.append(_doubled(line[:stop]) + '"')
            position = stop + len(self.right)
        self.inside = False
        while position < len(line):
            if line.startswith(self.delimiter, position):
                pieces.append(self.delimiter)
                position += len(self.delimiter)
            elif line.startswith(self.left, position):
                position = self._quoted(line, position, pieces)
            else:
                stop = line.find(self.delimiter, position)
                stop = len(line) if stop < 0 else stop
                pieces.append(line[position:stop])
                position = stop
        return "".join(pieces)

    def _opens_first(self, line: str) -> bool:
        """Tell whether a cell opens here before any closes: the one that is open was never closed."""
        if line.startswith(self.left):
            return True
        opened = line.find(self.delimiter + self.left) if self.left != self.right else -1
        stop = self._close(line, 0)
        return opened >= 0 and (stop < 0 or opened < stop)

    def _quoted(self, line: str, position: int, pieces: list[str]) -> int:
        """Write the cell that begins here, to its closing mark or the end of the line; return where it ends."""
        begin = position + len(self.left)
        stop = self._close(line, begin)
        self.inside = stop < 0
        pieces.append('"' + _doubled(line[begin : len(line) if stop < 0 else stop]) + ("" if stop < 0 else '"'))
        return len(line) if stop < 0 else stop + len(self.right)

    def _close(self, line: str, begin: int) -> int:
        """Return the next closing mark at a cell's edge; -1 if the line has none."""
        found = re.compile(f"{re.escape(self.right)}(?={re.escape(self.delimiter)}|$)").search(line, begin)
        return found.start() if found else -1


def _doubled(text: str) -> str:
    return text.replace('"', '""')


def paired(lines: Sequence[str]) -> Paired | None:
    """Recognise the marks around cells by a file's first lines."""
    text = "\n".join(lines)
    return next(iter((*_sided(text), *_even_handed(lines, text))), None)


def _sided(text: str) -> Iterator[Paired]:
    for left, right in SIDED:
        if text.count(left) < FEWEST or text.count(right) < FEWEST:
            continue
        for delimiter in DELIMITERS:
            before, after = f"(?:^|{re.escape(delimiter)})", f"(?={re.escape(delimiter)}|$)"
            opened = len(re.findall(before + re.escape(left), text, re.MULTILINE))
            closed = len(re.findall(re.escape(right) + after, text, re.MULTILINE))
            next_to = f"{right}{delimiter}" in text or f"{delimiter}{left}" in text
            if next_to and min(opened, closed) >= AT_EDGES * max(text.count(left), text.count(right)):
                yield Paired(left, right, delimiter)


def _even_handed(lines: Sequence[str], text: str) -> Iterator[Paired]:
    filled = [line for line in lines if line.strip()]
    for mark in EVEN_HANDED:
        begun = sum(1 for line in filled if line.startswith(mark))
        ended = sum(1 for line in filled if line.endswith(mark))
        if len(filled) < 2 or min(begun, ended) < RECORDS * len(filled):  # noqa: PLR2004 -- a header and a row
            continue
        for delimiter in DELIMITERS:
            between = text.count(f"{mark}{delimiter}{mark}")
            # Two marks a cell, and as many records as lines that begin with one.
            records = text.count(mark) / 2 - between
            if mark != delimiter and between >= begun and AT_EDGES * records <= min(begun, ended):
                yield Paired(mark, mark, delimiter)
