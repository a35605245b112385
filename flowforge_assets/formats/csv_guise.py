"""Delimited tables in another guise, written as the CSV they mean: drawn or framed with bars, or each line in quotes.

Markdown, `mysql`, `psql`, `sqlite -box` and DuckDB draw tables; some exports put a whole line into one pair of quotes,
or cells into curly ones (`csv_paired`), or end records in 0x1E (`csv_control`).
Rewritten line by line, so that every line keeps its number, and what is no row (a ruler, a title, a count of rows) stays
verbatim for the CSV reader to set aside. Blanks around the cells of a drawn table are its drawing, and go.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from flowforge_assets.formats import csv_control
from flowforge_assets.formats.csv_framed import BARS, aligned, framing_bar
from flowforge_assets.formats.csv_paired import paired
from flowforge_assets.formats.csv_source import Source, decode, sniff_encoding, split_lines
from flowforge_assets.formats.csv_split import LineSplitter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from flowforge_assets.formats.csv_options import CsvOptions

HEAD_BYTES, MOST_LINES = 32 << 10, 200
MOST_ABOVE, LOOKED_BELOW = 40, 30
ENOUGH, WRAPPED = 0.8, 0.5
_RULER = re.compile(r"[ :|+\-=│║┃─═━┄┼╪╬╫├┤┬┴┌┐└┘╞╡╤╧╟╢╠╣╔╗╚╝╦╩╭╮╰╯┏┓┗┛┳┻┣┫╋┡┩╇]+")
_ACROSS = re.compile(r"[-=─═━┄]+")
_JOINTS = re.compile(r"[^ :\-=─═━┄]+")
# A cheap look at bytes: a line that may be a ruler, or begins with a quote of some kind.
_MAYBE = re.compile(
    rb'^(?:[ :|+=-]{3,}\r?$|["|~^%$*]| +[^\s]|[ |+]*\xe2[\x94\x95])|\xe2\x80[\x9c-\x9e]|\xc2[\xab\xbb]|^\xc3\xbe',
    re.MULTILINE,
)
_MAYBE_SINGLE = re.compile(rb"[\x84\x93\xab\xbb]|^\xfe", re.MULTILINE)
_WHOLE = re.compile(r'"(?:[^"\\]|""|\\.)*"')
_INNER_DELIMITERS = (",", ";", "\t", "|")
# A spreadsheet that took a line for one cell wrote empty ones behind it, where another line had more.
_EMPTIED = ";,\t"
_AS_WRITTEN: dict[str, str | int | bool] = {
    "delimiter": "|", "quote": '"', "escape": "double", "trailing_delimiter": False,
}  # fmt: skip


class Guise(NamedTuple):
    """How a table is disguised: its name, a line as CSV, and what is then known of the CSV."""

    name: str
    unveil: Callable[[str], str]
    known: dict[str, str | int | bool]


def unveiled(path: Path, pinned: CsvOptions, target: Path) -> tuple[Path, CsvOptions, str] | None:
    """Write a disguised table to `target` as CSV; return that, how to read it, and the guise. None for all others."""
    source = Source(path)
    head = source.range(0, HEAD_BYTES)
    if not (_MAYBE.search(head) or b"\0" in head or b"\x1e" in head or _MAYBE_SINGLE.search(head)):
        return None
    encoding, bom = sniff_encoding(head, whole=len(head) == source.size)
    text = decode(head[bom:], pinned.encoding or encoding)
    if csv_control.RECORD in text and pinned.delimiter in {None, csv_control.CELL} and csv_control.separated(text):
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("w", encoding="utf-8", errors="surrogatepass", newline="") as file:
            file.writelines(csv_control.as_lines(source, pinned.encoding or encoding, bom))
        return target, pinned.model_copy(update={**csv_control.KNOWN, "encoding": "utf-8"}), "ASCII separators"
    lines = split_lines(text)
    lines = lines if len(head) == source.size else lines[:-1]
    guise = guise_of(lines[:MOST_LINES], pinned)
    if guise is None:
        return None
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", encoding="utf-8", errors="surrogatepass", newline="") as file:
        for line, end in _lines(source, pinned.encoding or encoding, bom):
            file.write(guise.unveil(line) + end)
    return target, pinned.model_copy(update={**guise.known, "encoding": "utf-8"}), guise.name


def guise_of(lines: Sequence[str], pinned: CsvOptions) -> Guise | None:
    """Recognise a guise by a file's first lines; none where it is pinned how cells are parted."""
    if any(said is not None for said in (pinned.delimiter, pinned.quote, pinned.comment, pinned.header)):
        return None
    quoted = Guise("lines in quotes", _without_quotes, {}) if _in_quotes(lines) else _quoted(lines)
    return _drawn(lines) or quoted or _framed(lines)


def _framed(lines: Sequence[str]) -> Guise | None:
    """Rows between bars without a ruler that parts them, or aligned by blanks."""
    if bar := framing_bar(lines):
        ruler = next((line.strip()[0] for line in lines if _ACROSS.fullmatch(line.strip())), None)
        return Guise(
            "rows between bars", _Bars(bar, left=True, right=True).as_csv, {**_AS_WRITTEN, "comment": ruler or ""}
        )
    return Guise("aligned by blanks", _aligned_as_csv, _AS_WRITTEN) if aligned(lines) else None


def _aligned_as_csv(line: str) -> str:
    """A line of cells without blanks in them as CSV."""
    return "|".join('"' + cell.replace('"', '""') + '"' for cell in line.split())


def _quoted(lines: Sequence[str]) -> Guise | None:
    """Cells in quotes of another shape, and what parts them."""
    found = paired(lines)
    known: dict[str, str | int | bool] = (
        {"delimiter": found.delimiter, "quote": '"', "escape": "double"} if found else {}
    )
    return Guise(f"cells in {found.left} and {found.right}", found.as_csv, known) if found else None


def _lines(source: Source, encoding: str, bom: int) -> Iterator[tuple[str, str]]:
    """Yield a file's lines and their ends, in bounded memory."""
    held = ""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for block in source.utf8_blocks(encoding, bom, source.size):
        *whole, held = (held + decoder.decode(block)).split("\n")
        yield from ((line.removesuffix("\r"), "\r\n" if line.endswith("\r") else "\n") for line in whole)
    if held:
        yield held, ""


# Drawn with bars.


def _drawn(lines: Sequence[str]) -> Guise | None:
    """Find a ruler under the names: as many pieces as names above it, and as cells in most lines below it."""
    for place, line in enumerate(lines[:MOST_ABOVE]):
        columns = _columns_of(line)
        if columns < 2 or not place:  # noqa: PLR2004 -- one column of anything may be underlined
            continue
        names = lines[place - 1]
        bar = next((mark for mark in BARS if mark in names), "")
        if not bar or _columns_of(names):
            continue
        bars = _Bars(bar, names.lstrip().startswith(bar), names.rstrip().endswith(bar))
        below = [other for other in lines[place + 1 :] if other.strip()][:LOOKED_BELOW]
        alike = sum(1 for other in below if _columns_of(other) or len(bars.cells(other)) == columns)
        within = place > 1 and not _columns_of(lines[place - 2]) and len(bars.cells(lines[place - 2])) == columns
        if not within and len(bars.cells(names)) == columns and alike >= ENOUGH * len(below) - 1:
            return Guise("drawn table", bars.as_csv, {**_AS_WRITTEN, "header": 1, "comment": line[0]})
    return None


def _columns_of(line: str) -> int:
    """How many columns a ruler parts; 0 for a line that is none."""
    text = line.strip()
    if not _RULER.fullmatch(text) or not _ACROSS.search(text):
        return 0
    pieces = [piece.strip().strip(":") for piece in _JOINTS.split(text)]
    inner = [piece for place, piece in enumerate(pieces) if piece or 0 < place < len(pieces) - 1]
    return len(inner) if all(_ACROSS.fullmatch(piece) for piece in inner) else 0


class _Bars(NamedTuple):
    """What parts the cells of a drawn table, and whether it also stands before the first and after the last."""

    mark: str
    left: bool
    right: bool

    def cells(self, line: str) -> list[str]:
        """The cells of a line, without the blanks around them."""
        text = line.lstrip().removeprefix(self.mark) if self.left else line
        text = (
            text.rstrip().removesuffix(self.mark)
            if self.right and not text.rstrip().endswith("\\" + self.mark)
            else text
        )
        pieces = re.split(rf"(?<!\\){re.escape(self.mark)}", text)
        return [piece.strip().replace("\\" + self.mark, self.mark) for piece in pieces]

    def as_csv(self, line: str) -> str:
        """A line as CSV; one that is no record as it is."""
        if self.mark not in line or _columns_of(line):
            return line
        return "|".join('"' + cell.replace('"', '""') + '"' for cell in self.cells(line))


# Lines in quotes.


def _in_quotes(lines: Sequence[str]) -> bool:
    """Tell whether most lines are one quoted cell each, whose texts are records of one width, as the first line is."""
    filled = [line for line in lines if line.strip()]
    wrapped = [line for line in filled if _WHOLE.fullmatch(line.strip().rstrip(_EMPTIED))]
    if len(filled) < 2 or len(wrapped) < WRAPPED * len(filled):  # noqa: PLR2004 -- a header and a row
        return False
    texts = [_without_quotes(line) for line in filled]
    return any(_records(texts, delimiter) for delimiter in _INNER_DELIMITERS)


def _records(texts: Sequence[str], delimiter: str) -> bool:
    """Tell whether texts are records, and not sentences with commas or names such as `Doe, Jane`."""
    splitter = LineSplitter(delimiter, '"', "double")
    widths = [len(cells) if isinstance(cells := splitter.strict(text), list) else 0 for text in texts]
    width, count = Counter(widths).most_common(1)[0]
    tight = sum(text.count(delimiter) for text in texts) > 2 * sum(text.count(f"{delimiter} ") for text in texts)
    return width > 1 and tight and widths[0] == width and count >= ENOUGH * len(widths)


def _without_quotes(line: str) -> str:
    """A line that is one quoted cell, and empty ones after it, as the text of that cell; another as it is."""
    text = line.strip().rstrip(_EMPTIED)
    if not _WHOLE.fullmatch(text):
        return line
    return text[1:-1].replace('""', '"').replace('\\"', '"')
