"""Tables in another guise than CSV: drawn with bars and rulers, or with whole lines in quotes; and very long records.

Belongs here: what a file looks like as a whole. Does not: damage to single rows (`pollutions`).
"""
# ruff: noqa: ARG001 -- every pollution has one signature

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from benchmarks.csv_corpus.document import Document

MANY_LINES = 90


def _simple(doc: Document) -> None:
    """Cells on one line, without bars: what such drawings can hold."""
    doc.rows = [[" ".join(cell.replace("|", "/").split()) for cell in row] for row in doc.rows]


def _widths(doc: Document) -> list[int]:
    return [max(3, *(len(row[c]) for row in [doc.header, *doc.rows])) for c in range(len(doc.header))]


def _padded(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]


def markdown(doc: Document, r: random.Random) -> None:
    _simple(doc)
    widths = _widths(doc) if r.random() < 0.5 else [0] * len(doc.header)  # noqa: PLR2004
    ends = r.choice(["|", "|", ""])
    side = ends and " "
    dashes = [r.choice(["---", ":--", "--:", ":-:"]) for _ in doc.header]

    def line(cells: Sequence[str]) -> str:
        return f"{ends}{side}{' | '.join(_padded(cells, widths))}{side}{ends}"

    doc.drawn = [line(doc.header), f"{ends}{'|'.join(dashes)}{ends}", *map(line, doc.rows)]


def _boxed(doc: Document, corners: tuple[str, str, str], across: str, bar: str) -> list[str]:
    _simple(doc)
    widths = _widths(doc)

    def ruler(joints: str) -> str:
        left, middle, right = joints
        return left + middle.join(across * (width + 2) for width in widths) + right

    def line(cells: Sequence[str]) -> str:
        return f"{bar} " + f" {bar} ".join(_padded(cells, widths)) + f" {bar}"

    top, under, bottom = map(ruler, corners)
    return [top, line(doc.header), under, *map(line, doc.rows), bottom]


def database_shell(doc: Document, r: random.Random) -> None:
    doc.drawn = _boxed(doc, ("+++", "+++", "+++"), "-", "|")
    doc.below = r.choice([[], [f"{len(doc.rows)} rows in set (0.01 sec)"]])


def box_characters(doc: Document, r: random.Random) -> None:
    doc.drawn = _boxed(doc, ("┌┬┐", "├┼┤", "└┴┘"), "─", "│")


def aligned_shell(doc: Document, r: random.Random) -> None:
    """As psql prints it: no bars outside, the names centred."""
    _simple(doc)
    widths = _widths(doc)
    names = " | ".join(name.center(width) for name, width in zip(doc.header, widths, strict=True))
    rows = [" " + " | ".join(_padded(row, widths)) for row in doc.rows]
    doc.drawn = [f" {names} ", "+".join("-" * (width + 2) for width in widths), *rows]
    doc.below = [f"({len(doc.rows)} rows)"]


def _wrapped(line: str) -> str:
    return '"' + line.replace('"', '""') + '"'


def lines_in_quotes(doc: Document, r: random.Random) -> None:
    _simple(doc)
    doc.delimiter = r.choice([",", ";", "\t"])
    doc.quoting = r.choice(["minimal", "all"])
    head = doc.line(doc.header)
    doc.drawn = [r.choice([_wrapped(head), head]), *(_wrapped(doc.line(row)) for row in doc.rows)]


def some_lines_in_quotes(doc: Document, r: random.Random) -> None:
    """As a spreadsheet does to lines that hold a quote when it takes a CSV for one column."""
    for i, row in enumerate(doc.rows):
        if '"' in (line := doc.line(row)) and "\n" not in line:
            doc.raw_rows[i] = _wrapped(line)


def record_of_many_lines(doc: Document, r: random.Random) -> None:
    i, c = r.choice([0, 0, 1]), len(doc.header) - 1
    text = doc.newline.join(f"line {n} of a letter" for n in range(MANY_LINES))
    doc.rows[i] = [*doc.rows[i][:c], text]


def name_of_many_lines(doc: Document, r: random.Random) -> None:
    legend = doc.newline.join(f"{n}: answer {n}" for n in range(MANY_LINES))
    doc.header = [*doc.header[:-1], f"{doc.header[-1]}{doc.newline}{legend}"]


GUISES: dict[str, Callable[[Document, random.Random], None]] = {
    "markdown": markdown, "database shell": database_shell, "box characters": box_characters,
    "aligned shell": aligned_shell, "lines in quotes": lines_in_quotes, "some lines in quotes": some_lines_in_quotes,
    "record of 90 lines": record_of_many_lines, "name of 90 lines": name_of_many_lines,
}  # fmt: skip
