"""How a CSV-like file is written, decided by its content; what is pinned is obeyed.

Looks at the first 256 KB (more where lines are very long) and the last 64 KB. Reads no cell for its value. Of a larger
file 64 KB are enough if they have many lines and it then proves clean: half of the time.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

from flowforge_assets.formats.csv_fast import proven
from flowforge_assets.formats.csv_footer import footer_length
from flowforge_assets.formats.csv_layout import Layout, find_layout
from flowforge_assets.formats.csv_options import CsvDialect, CsvOptions
from flowforge_assets.formats.csv_sample import is_blank
from flowforge_assets.formats.csv_score import Scored, best_dialect
from flowforge_assets.formats.csv_single import one_column
from flowforge_assets.formats.csv_source import LINE_END, Source, decode, sniff_encoding, split_lines

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_assets.formats.csv_options import Terminator

HEAD_BYTES, LONG_HEAD_BYTES, TAIL_BYTES = 256 << 10, 8 << 20, 64 << 10
# With so many lines what is weighed of them (150 for the delimiter, 400 for the columns) is the same as in the whole head.
SHORT_HEAD_BYTES, MANY_LINES = 64 << 10, 500
FEW_LINES, MOST_TITLES = 20, 20
DECLARED = re.compile(r'"?sep=(\\t|[^"])"?\s*', re.IGNORECASE)
NO_PINS = CsvOptions()


def detect(path_or_bytes: str | Path | bytes, *, pinned: CsvOptions = NO_PINS) -> CsvDialect:
    """Return the dialect of a file (or its content)."""
    source = Source.of(path_or_bytes)
    if source.size > HEAD_BYTES and (short := source.range(0, SHORT_HEAD_BYTES)).count(b"\n") >= MANY_LINES:
        dialect = _decided(source, short, pinned)
        if dialect.clean:
            return dialect
    head = source.range(0, HEAD_BYTES)
    if len(head) < source.size and head.count(b"\n") + head.count(b"\r") < FEW_LINES:
        head = source.range(0, LONG_HEAD_BYTES)
    return _decided(source, head, pinned)


def _decided(source: Source, head: bytes, pinned: CsvOptions) -> CsvDialect:
    """Decide by the beginning of a file, its end, and what proves true of the rest."""
    encoding, bom = _encoding(head, pinned, whole=len(head) == source.size)
    text = _head_text(head[bom:], encoding, whole=len(head) == source.size)
    lines = split_lines(text)
    declared = _declared(lines, pinned)
    if declared:
        pinned = pinned.model_copy(update={"delimiter": declared})
    scored = best_dialect(lines[pinned.skip_lines or int(bool(declared)) :], pinned)
    layout = find_layout(lines, scored.splitter(), pinned, int(bool(declared)))
    if not pinned.delimiter and one_column(lines, scored, layout.leading):
        nowhere = "\x1f" if scored.delimiter.strip() == "," else ","
        scored = Scored(nowhere, scored.quote, scored.escape, scored.score)
        layout = find_layout(lines, scored.splitter(), pinned)
    footer_lines, footer_bytes = _footer(source, encoding, len(head), layout, scored, pinned)
    dialect = CsvDialect(
        encoding=encoding,
        bom_bytes=bom,
        delimiter=scored.delimiter,
        quote=scored.quote,
        escape=scored.escape,
        terminator=_terminator(text),
        columns=layout.columns,
        leading=layout.leading,
        footer_lines=footer_lines,
        footer_bytes=footer_bytes,
        comment=layout.comment,
        null=pinned.null,
        trailing=layout.trailing,
        max_record_lines=pinned.max_record_lines,
        profiles=layout.profiles,
        first_line=lines[0] if layout.leading == ("header",) else "",
        header_text=layout.header_text,
        titles=_titles(lines, layout),
        header_again=bool(layout.header_text) and lines.count(layout.header_text) > 1,
    )
    return proven(source, dialect)


def _declared(lines: list[str], pinned: CsvOptions) -> str:
    """Return the delimiter that a first line `sep=;` declares, as Excel takes it."""
    found = DECLARED.fullmatch(lines[0]) if lines and pinned.delimiter is None else None
    return found[1].replace("\\t", "\t") if found else ""


def _titles(lines: list[str], layout: Layout) -> tuple[str, ...]:
    """Return the first lines that stand above the table and say something."""
    above = [line for line, role in zip(lines, layout.leading, strict=False) if role == "preamble" and line.strip()]
    return tuple(above[:MOST_TITLES])


def _encoding(head: bytes, pinned: CsvOptions, *, whole: bool) -> tuple[str, int]:
    found, bom = sniff_encoding(head, whole=whole)
    if pinned.encoding is None:
        return found, bom
    name = codecs.lookup(pinned.encoding).name
    if name in {"utf-8-sig", "utf-16", "utf-32"}:
        return (found if bom and found.startswith(name[:5]) else "utf-8" if name == "utf-8-sig" else f"{name}-le"), bom
    return name, bom if name == found else 0


def _head_text(head: bytes, encoding: str, *, whole: bool) -> str:
    """Decode the head; drop the line it was cut in."""
    if whole:
        return decode(head, encoding)
    text = codecs.getincrementaldecoder(encoding)(errors="replace").decode(head)
    cut = max(text.rfind("\n"), text.rfind("\r", 0, -1))
    return text[: cut + 1] if cut > 0 else text


def _terminator(text: str) -> Terminator:
    crlf = text.count("\r\n")
    kinds: dict[Terminator, int] = {"crlf": crlf, "lf": text.count("\n") - crlf, "cr": text.count("\r") - crlf}
    used = [kind for kind, count in kinds.items() if count]
    return used[0] if len(used) == 1 else "mixed" if used else "lf"


def _footer(  # noqa: PLR0917 -- one step of detect, which has all of it at hand
    source: Source, encoding: str, seen: int, layout: Layout, scored: Scored, pinned: CsvOptions
) -> tuple[int, int]:
    """Return lines and bytes at the end of the file that are no rows."""
    if not layout.columns:
        return 0, 0
    wide = 2 if encoding.startswith("utf-16") else 4 if encoding.startswith("utf-32") else 1
    start = max(0, source.size - TAIL_BYTES) if seen < source.size else 0
    start += (source.size - start) % wide
    text = decode(source.range(start, source.size), encoding)
    tail = split_lines(text)[(1 if start else len(layout.leading)) :]
    filled = _stripped(tail, scored.delimiter)
    blank = len(tail) - len(filled)
    count = pinned.footer_lines if pinned.footer_lines is not None else footer_length(filled, scored.splitter(), layout)
    if pinned.footer_lines is None and count:
        count += blank
    count = min(count, len(tail))
    if not count:
        return 0, 0
    ends = [found.end() for found in LINE_END.finditer(text)]
    ends = ends if ends and ends[-1] == len(text) else [*ends, len(text)]
    begin = ends[-count - 1] if count < len(ends) else 0
    if encoding == "utf-8" and wide == 1:
        return count, _bytes_of_last(source.range(start, source.size), count)
    return count, len(text[begin:].encode(encoding, errors="replace"))


def _stripped(tail: list[str], delimiter: str) -> list[str]:
    """Return lines without the blank ones at their end."""
    stop = len(tail)
    while stop and is_blank(tail[stop - 1], delimiter):
        stop -= 1
    return tail[:stop]


def _bytes_of_last(data: bytes, count: int) -> int:
    """Return the length of the last lines in bytes as they are, valid or not."""
    return sum(map(len, data.splitlines(keepends=True)[-count:]))
