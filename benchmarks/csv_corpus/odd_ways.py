"""Ways of parting cells and records that few programs use: none of them was looked at when the reader was made.

Belongs here: rare delimiters, quotes, separators of records, blanks and delimiters that mean nothing, declared ways.
Does not: damage to single rows (`pollutions`), whole drawings (`guises`).
"""
# ruff: noqa: ARG001, PLR2004 -- every pollution has one signature; its odds and sizes are read where they stand

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.csv_corpus.tables import narrow

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from benchmarks.csv_corpus.document import Document

MARKS = ("~", "^", "\x01", "\x14", "¬", "¦", "þ", "\x1c", "§")
LONG_MARKS = ("::", "||", "~|~", "<>", "|+|", "@@@", "^~^", "$|$", "~^~", ";;", "|||", "-|-", "{|}", "<->")


def several_trailing(doc: Document, r: random.Random) -> None:
    """As a spreadsheet writes columns that were cleared."""
    doc.suffix = doc.delimiter * r.randint(2, 6)


def several_trailing_in_rows(doc: Document, r: random.Random) -> None:
    more = doc.delimiter * r.randint(2, 4)
    for i, row in enumerate(doc.rows):
        doc.raw_rows[i] = doc.line(row) + more


def uneven_trailing(doc: Document, r: random.Random) -> None:
    for i, row in enumerate(doc.rows):
        doc.raw_rows[i] = doc.line(row) + doc.delimiter * r.randint(0, 3)


def blanks_before_cells(doc: Document, r: random.Random) -> None:
    doc.delimiter = r.choice([", ", "; ", "| "])
    doc.quoting = r.choice(["minimal", "all", "nonnumeric"])


def blanks_around_some_quotes(doc: Document, r: random.Random) -> None:
    """A blank after each delimiter, and only text in quotes, with blanks on both of their sides."""
    doc.quoting, doc.pad = "all", r.choice([(" ", " "), (" ", ""), ("  ", " ")])
    doc.delimiter = r.choice([",", ";", "|"])


def blanks_and_bars(doc: Document, r: random.Random) -> None:
    doc.delimiter = r.choice([" ; ", " , ", " | ", " : "])
    doc.quoting = r.choice(["minimal", "all"])


def control_separators(doc: Document, r: random.Random) -> None:
    """ASCII's own: unit separators between cells, record separators between rows; line ends are but text."""
    doc.delimiter, doc.newline, doc.quote = "\x1f", "\x1e", ""
    doc.rows = [[cell.replace("\r", " ") for cell in row] for row in doc.rows]


def record_separators_and_lines(doc: Document, r: random.Random) -> None:
    doc.delimiter, doc.newline, doc.quote = "\x1f", r.choice(["\x1e\n", "\x1e\r\n"]), ""
    doc.rows = [[" ".join(cell.split()) for cell in row] for row in doc.rows]


def _write_names(doc: Document, line: Callable[[list[str]], str]) -> None:
    """Write the header in a way of its own, if the file shows one."""
    if doc.show_header:
        heads = doc.header_lines or [doc.header]
        doc.true_header = doc.header if doc.true_header is None else doc.true_header
        doc.show_header, doc.header_lines, doc.above = False, [], [*doc.above, *map(line, heads)]


def _paired(doc: Document, r: random.Random, left: str, right: str) -> None:
    everything = r.random() < 0.6

    def line(cells: list[str]) -> str:
        special = ("\n", doc.delimiter, '"')
        shown = [f"{left}{c}{right}" if everything or any(s in c for s in special) else c for c in cells]
        return doc.delimiter.join(shown)

    doc.raw_rows = {i: line(row) for i, row in enumerate(doc.rows)}
    _write_names(doc, line)


def curly_quotes(doc: Document, r: random.Random) -> None:
    _paired(doc, r, "“", "”")


def guillemets(doc: Document, r: random.Random) -> None:
    _paired(doc, r, *r.choice([("«", "»"), ("„", "“"), ("„", "”")]))


def pipe_quotes(doc: Document, r: random.Random) -> None:
    doc.quote, doc.quoting = r.choice(["|", "~", "^", "þ"]), "all"
    if doc.quote == "þ":
        doc.delimiter = r.choice(["\x14", ","])


def narrow_under_long_preamble(doc: Document, r: random.Random) -> None:
    doc.header, doc.rows = narrow(r, r.choice([12, 30, 84]))
    doc.header_lines, doc.true_header = [], None
    doc.delimiter = r.choice([",", ";", "\t"])
    said = ["Sensor: outdoor", "Operator: J. Doe", "Firmware 2.1", "Calibrated 2020-01-01", "Room 17, second floor"]
    doc.above = [*(r.choice(said) for _ in range(r.randint(4, 20))), *r.choice([[], [""]])]


def rare_delimiter(doc: Document, r: random.Random) -> None:
    doc.delimiter = r.choice(MARKS)
    doc.quoting = r.choice(["minimal", "all"])


def long_delimiter(doc: Document, r: random.Random) -> None:
    doc.delimiter = r.choice(LONG_MARKS)
    doc.quoting = r.choice(["minimal", "all"])


def long_delimiter_unquoted(doc: Document, r: random.Random) -> None:
    doc.delimiter, doc.quote = r.choice(LONG_MARKS), ""
    doc.rows = [[" ".join(cell.split()) for cell in row] for row in doc.rows]


def spaces_and_quotes(doc: Document, r: random.Random) -> None:
    doc.delimiter, doc.quoting = " ", r.choice(["all", "nonnumeric"])


def declared_delimiter(doc: Document, r: random.Random) -> None:
    """Excel's first line says the delimiter, also one that nobody would guess."""
    doc.delimiter = r.choice([";", "\t", "|", "^", "#", "_", "-", "/", "@", "~"])
    doc.quoting = r.choice(["minimal", "all"])
    doc.above = [r.choice(["sep={}", '"sep={}"', "SEP={}"]).format(doc.delimiter), *doc.above]


def declared_wide(doc: Document, r: random.Random) -> None:
    declared_delimiter(doc, r)
    doc.newline = "\r\n"
    doc.encoding, doc.bom = r.choice([("utf-16-le", b"\xff\xfe"), ("utf-8", b"\xef\xbb\xbf")])


def double_spaced(doc: Document, r: random.Random) -> None:
    for i in range(len(doc.rows)):
        doc.before_row[i] = doc.newline


def header_alone_quoted(doc: Document, r: random.Random) -> None:
    _write_names(doc, lambda names: doc.delimiter.join(f'"{name}"' for name in names))


def header_alone_bare(doc: Document, r: random.Random) -> None:
    doc.quoting = "all"
    _write_names(doc, doc.delimiter.join)


def escaped_bare(doc: Document, r: random.Random) -> None:
    """Never a quote; a backslash before a delimiter within a cell."""
    doc.quote, doc.escape = "", "backslash"
    doc.rows = [[" ".join(cell.replace("\\", "/").split()) for cell in row] for row in doc.rows]
    doc.raw_rows = {
        i: doc.delimiter.join(cell.replace(doc.delimiter, "\\" + doc.delimiter) for cell in row)
        for i, row in enumerate(doc.rows)
    }


def apostrophes_backslash(doc: Document, r: random.Random) -> None:
    doc.quote, doc.escape, doc.quoting = "'", r.choice(["backslash", "double"]), "all"


def pages(doc: Document, r: random.Random) -> None:
    """A report in pages: every 20 rows a blank line, the title and the header once more."""
    doc.above = ["List of items", ""]
    head = doc.line(doc.header) + doc.newline
    for i in range(20, len(doc.rows), 20):
        doc.before_row[i] = f"{doc.newline}List of items{doc.newline}{doc.newline}{head}"


def joined_with_marks(doc: Document, r: random.Random) -> None:
    """Two files joined end to end: the second brings its byte order mark and its header."""
    doc.bom = b"\xef\xbb\xbf"
    doc.before_row[len(doc.rows) // 2] = "\ufeff" + doc.line(doc.header) + doc.newline


def utf_16_be_bare(doc: Document, r: random.Random) -> None:
    doc.encoding = "utf-16-be"


def utf_32(doc: Document, r: random.Random) -> None:
    doc.encoding, doc.bom = "utf-32-le", b"\xff\xfe\x00\x00"


def odd_line_breaks(doc: Document, r: random.Random) -> None:
    """Characters some programs take for line ends stand within cells."""
    for i in range(0, len(doc.rows), 3):
        c = r.randrange(len(doc.header))
        mark = r.choice(["\u2028", "\x85", "\x0b", "\x0c", "\x1c"])
        doc.rows[i] = [*doc.rows[i][:c], f"{doc.rows[i][c]}{mark}more", *doc.rows[i][c + 1 :]]


ODD: dict[str, Callable[[Document, random.Random], None]] = {
    "several trailing delimiters": several_trailing, "several trailing in rows": several_trailing_in_rows,
    "uneven trailing delimiters": uneven_trailing, "blanks before cells": blanks_before_cells,
    "blanks around quotes": blanks_around_some_quotes, "blanks around delimiters": blanks_and_bars,
    "unit and record separators": control_separators, "record separators and lines": record_separators_and_lines,
    "curly quotes": curly_quotes, "guillemets": guillemets, "rare quotes": pipe_quotes,
    "narrow under long preamble": narrow_under_long_preamble, "rare delimiter": rare_delimiter,
    "long delimiter": long_delimiter, "long delimiter unquoted": long_delimiter_unquoted,
    "spaces and quotes": spaces_and_quotes, "declared delimiter": declared_delimiter,
    "declared delimiter, wide": declared_wide, "double spaced": double_spaced,
    "header alone quoted": header_alone_quoted, "header alone bare": header_alone_bare,
    "escaped delimiters": escaped_bare, "apostrophes, all": apostrophes_backslash, "pages": pages,
    "joined with marks": joined_with_marks, "utf-16 be bare": utf_16_be_bare, "utf-32": utf_32,
    "odd line breaks in cells": odd_line_breaks,
}  # fmt: skip
# Their records end in no line end: what is done to lines does not go with them.
WITHOUT_LINES = {"unit and record separators", "record separators and lines"}
# They have written their rows: what changes a row's text is too late.
WITH_OWN_ROWS = {
    "several trailing in rows", "uneven trailing delimiters", "curly quotes", "guillemets", "escaped delimiters",
}  # fmt: skip
TOO_LATE = {"thousands", "NUL bytes", "long cell", "embedded newlines", "unescaped quotes", "unescaped delimiter"}
