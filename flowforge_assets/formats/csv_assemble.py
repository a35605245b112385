"""What is irregular in a block, line by line: records over several lines, damaged ones, comments and blank lines.

The careful and slow path; it sees only what `csv_scan` did not find regular.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from flowforge_assets.formats.csv_align import GOOD_ENOUGH, SKIP, Aligner, Reading
from flowforge_assets.formats.csv_sample import is_blank
from flowforge_assets.formats.csv_split import OTHER_DELIMITERS, Damage, LineSplitter

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowforge_assets.formats.csv_options import CsvDialect

Fate = Literal["row", "comment", "blank", "rescued", "header", "preamble", "footer"]
ENDS, BYTE_ORDER_MARK = "\r\n", "\ufeff"
LONGEST_ODD_JOIN = 12
REGULAR_ENOUGH, TOLD = 3, 2
DEAREST_BREAK = 4.0


@dataclass(frozen=True, slots=True)
class Assembled:
    """What became of one or several lines: a row (cells), or a line set aside with its reason, or nothing (blank)."""

    unit: int
    fate: Fate
    lines: int
    cells: list[str | None] | None = None
    note: tuple[str, str] | None = None

    def rescued_json(self, line: int) -> str | None:
        """Return the text of `_rescued`: raw text, line number and why; None where nothing is amiss."""
        if self.note is None:
            return None
        raw, why = self.note
        return json.dumps([{"line": line, "raw": raw, "why": why}], ensure_ascii=False)


@dataclass(slots=True)
class Assembler:
    """Reads irregular lines of one file. `delimiter` is the byte that stands for the dialect's in the scanned text."""

    dialect: CsvDialect
    delimiter: str
    splitter: LineSplitter = field(init=False)
    aligner: Aligner = field(init=False)

    def __post_init__(self) -> None:
        self.splitter = LineSplitter(self.delimiter, self.dialect.quote, self.dialect.escape)
        self.aligner = Aligner(self.splitter, self.dialect.profiles)

    def at(self, unit: int, count: int, text: Callable[[int], str], *, last: bool) -> list[Assembled] | None:
        """Read what begins at a unit; None if its end is not in this block."""
        line = text(unit).rstrip(ENDS)
        aside = self._no_row(unit, line)
        if aside is not None:
            return [aside]
        cells = self.splitter.strict(line)
        requoted = self._other_quote(line) or self._in_quotes(cells)
        if requoted is not None:
            return [self._row(unit, 1, requoted, line)]
        if isinstance(cells, list) and self._complete(cells):
            return [Assembled(unit, "row", 1, cells=self._restored(cells[: self.dialect.width]))]
        if cells is Damage.OPEN:
            joined = self._closed(unit, count, text)
            if joined is not None:
                return [joined]
            if not last and count - unit < self.dialect.max_record_lines:
                return None
        return [self._repaired(unit, count, text, line, unclosed=cells is Damage.OPEN)]

    def _no_row(self, unit: int, line: str) -> Assembled | None:
        """Recognise a line that is no record: blank, a comment, the header once more."""
        if is_blank(line, self.delimiter):
            return Assembled(unit, "blank", 1)
        if self.dialect.comment and line.startswith(self.dialect.comment):
            return Assembled(unit, "comment", 1, note=(self.original(line), "a comment"))
        shown = self.original(line)
        if self.dialect.header_text and shown.removeprefix(BYTE_ORDER_MARK) == self.dialect.header_text:
            return Assembled(unit, "rescued", 1, note=(shown, "the header again"))
        if shown in self.dialect.titles and not self._whole(line):
            return Assembled(unit, "rescued", 1, note=(shown, "a line of above the table again"))
        return None

    def original(self, text: str) -> str:
        """Return text with the delimiter as the file has it."""
        return (
            text if self.delimiter == self.dialect.delimiter else text.replace(self.delimiter, self.dialect.delimiter)
        )

    def _restored(self, cells: list[str] | list[str | None]) -> list[str | None]:
        if self.delimiter == self.dialect.delimiter:
            return list(cells)
        return [None if cell is None else self.original(cell) for cell in cells]

    def _complete(self, cells: list[str]) -> bool:
        if len(cells) == self.dialect.width and self.dialect.width > 1:
            return True
        enough = len(cells) > self.dialect.width if self.dialect.trailing else len(cells) == self.dialect.pieces
        return enough and not any(cells[self.dialect.width :])

    def _closed(self, unit: int, count: int, text: Callable[[int], str]) -> Assembled | None:
        """Join lines until the open quote closes by the rules and the record is whole."""
        lines = [text(unit)]
        for other in range(unit + 1, min(unit + self.dialect.max_record_lines, count)):
            lines.append(text(other))
            if self.dialect.quote not in lines[-1]:
                continue
            joined = "".join(lines).rstrip(ENDS)
            cells = self.splitter.strict(joined)
            if cells is Damage.ODD:
                return None
            if isinstance(cells, list):
                return self._accepted(unit, lines, cells, joined)
        return None

    def _accepted(self, unit: int, lines: list[str], cells: list[str], joined: str) -> Assembled | None:
        """Accept a record over several lines unless it swallowed records."""
        if self._complete(cells):
            return Assembled(unit, "row", len(lines), cells=self._restored(cells[: self.dialect.width]))
        if self.dialect.width < REGULAR_ENOUGH or any(self._whole(line) for line in lines[1:]):
            return None
        return self._row(unit, len(lines), self.aligner.positional(cells), joined)

    def _whole(self, line: str) -> bool:
        """Tell whether a line looks like a record by itself."""
        if line.count(self.delimiter) == self.dialect.pieces - 1:
            return True
        cells = self.splitter.strict(line.rstrip(ENDS)) if self.dialect.quote in line else Damage.ODD
        return isinstance(cells, list) and self._complete(cells)

    def _begins_record(self, line: str) -> bool:
        """Tell whether the cells a line begins with fit the columns' types, of which two are told at least."""
        cells = self.splitter.tokens(line)[:-1]
        told = [
            profile.misfit(cell) for cell, profile in zip(cells, self.dialect.profiles, strict=False) if profile.strict
        ]
        return len(told) >= TOLD and max(told) < 1

    def _row(self, unit: int, lines: int, reading: Reading, raw: str) -> Assembled:
        note = (self.original(raw), "; ".join(reading.why)) if reading.why else None
        return Assembled(unit, "row", lines, cells=self._restored(reading.cells), note=note)

    def _repaired(self, unit: int, count: int, text: Callable[[int], str], line: str, *, unclosed: bool) -> Assembled:
        """Take the cheapest of all readings of a damaged line, alone, with others, or with another delimiter."""
        reading = self.aligner.read(self._bare(line))
        if unclosed or any(map(self.aligner.half_quoted, self.splitter.tokens(line))):
            joined = self._odd_join(unit, count, text, reading)
            if joined is not None:
                return joined
        broken = self._broken_line(unit, count, text, line, reading)
        if broken is not None:
            return broken
        reading = self._other_delimiter(line, reading)
        if unclosed:
            reading = Reading(reading.cells, reading.extras, ["an unclosed quote", *reading.why], reading.cost)
        return self._row(unit, 1, reading, line)

    def _other_quote(self, line: str) -> Reading | None:
        """Read a line whose every cell stands in the quotes that this file does not use."""
        other = next((q for q in "\"'" if q != self.dialect.quote and line.startswith(q)), "")
        if not other or self.dialect.width < 2:  # noqa: PLR2004
            return None
        bare, splitter = self._bare(line), LineSplitter(self.delimiter, other, self.dialect.escape)
        cells = splitter.strict(bare)
        if not isinstance(cells, list) or len(cells) != self.dialect.width:
            return None
        quoted = bare.count(other + self.delimiter + other) == len(cells) - 1 and bare.endswith(other)
        return Reading(list(cells), [], [f"quoted by {other}"], 0.0) if quoted else None

    def _in_quotes(self, cells: list[str] | Damage) -> Reading | None:
        """Read a line that stands in one pair of quotes as a whole."""
        alone = isinstance(cells, list) and cells and not any(cells[1:])
        inner = self.splitter.strict(cells[0]) if isinstance(cells, list) and alone else Damage.ODD
        if not isinstance(inner, list) or len(inner) != self.dialect.width or len(inner) < REGULAR_ENOUGH:
            return None
        return Reading(list(inner), [], ["quoted as a whole"], 0.0)

    def _bare(self, line: str) -> str:
        """Return a line without the delimiters that end every line of this file."""
        for _ in range(self.dialect.trailing):
            line = line.removesuffix(self.delimiter)
        return line

    def _odd_join(self, unit: int, count: int, text: Callable[[int], str], alone: Reading) -> Assembled | None:
        """Join lines of a quoted cell with unescaped quotes, if that reads better and swallows no record."""
        lines = [text(unit)]
        if None not in alone.cells and alone.cost < SKIP:
            return None
        dearest = min(alone.cost, GOOD_ENOUGH if self.dialect.width >= REGULAR_ENOUGH else SKIP)
        for other in range(unit + 1, min(unit + LONGEST_ODD_JOIN, count)):
            lines.append(text(other))
            if self.dialect.width >= REGULAR_ENOUGH and (self._whole(lines[-1]) or self._begins_record(lines[-1])):
                return None
            if self.dialect.quote not in lines[-1]:
                continue
            joined = self._bare("".join(lines).rstrip(ENDS))
            reading = self.aligner.read(joined)
            if None not in reading.cells and not reading.extras and reading.cost < dearest:
                return self._row(unit, len(lines), reading, joined)
        return None

    def _broken_line(
        self, unit: int, count: int, text: Callable[[int], str], line: str, alone: Reading
    ) -> Assembled | None:
        """Join two short lines that are one record broken inside an unquoted cell: the second begins no record."""
        profiles = self.dialect.profiles
        if unit + 1 >= count or None not in alone.cells or not profiles or not profiles[0].strict:
            return None
        following = text(unit + 1).rstrip(ENDS)
        first, second = self._bare(line).split(self.delimiter), self._bare(following).split(self.delimiter)
        if profiles[0].misfit(second[0]) < 1:
            return None
        end = text(unit)[len(line) :]
        if len(first) + len(second) - 1 != self.dialect.width:
            return self._half_quoted_break(unit, f"{line}{end}{following}", alone)
        cells = [*first[:-1], f"{first[-1]}{end}{second[0]}", *second[1:]]
        if self.aligner.score(cells) > 1 or not second[0].strip():
            return None
        reading = Reading(list(cells), [], ["a line end inside a cell"], 0.0)
        return self._row(unit, 2, reading, f"{line}{end}{following}")

    def _half_quoted_break(self, unit: int, joined: str, alone: Reading) -> Assembled | None:
        """Join two such lines where the cell that was broken has one of its quotes left."""
        if joined.count(self.dialect.quote) % 2 == 0:
            return None
        reading = self.aligner.read(self._bare(joined))
        good = None not in reading.cells and not reading.extras and reading.cost < min(alone.cost + SKIP, DEAREST_BREAK)
        return self._row(unit, 2, reading, joined) if good else None

    def _other_delimiter(self, line: str, reading: Reading) -> Reading:
        """Read a line that is hardly split at all with another delimiter, if it then is."""
        width = self.dialect.width
        if width < 2 or line.count(self.delimiter) * 2 >= width:  # noqa: PLR2004
            return reading
        original, best = self.original(line), reading
        for other in OTHER_DELIMITERS:
            if other == self.dialect.delimiter or other not in original:
                continue
            splitter = LineSplitter(other, self.dialect.quote, self.dialect.escape)
            found = Aligner(splitter, self.dialect.profiles).read(original)
            cells = splitter.strict(original)
            exact = isinstance(cells, list) and len(cells) == width
            if isinstance(cells, list) and exact:
                found = Reading(list(cells), [], [], self.aligner.score(cells) - width)
            if found.cost < best.cost - 0.5:
                best = Reading(found.cells, found.extras, [f"delimited by {other!r}", *found.why], found.cost)
        return best
