"""What other programs write and our own pollutions did not have: exports of spreadsheets and databases.

Belongs here: whole ways of writing a file, and odd sizes. Does not: damage to single rows (`pollutions`). Some kinds are
those of HPI's Pollock that lacked (a backslash and a `t` as delimiter, one column, thousands of columns, a name of 600 KB,
one row with another escape, a row of far too many cells).
"""
# ruff: noqa: ARG001, PLR2004 -- every pollution has one signature; its odds and sizes are read where they stand

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from benchmarks.csv_corpus.document import Document


def separator_line(doc: Document, r: random.Random) -> None:
    doc.delimiter = r.choice([",", ";", "\t", "|"])
    doc.above = [f"sep={doc.delimiter}"]


def excel_text(doc: Document, r: random.Random) -> None:
    """Cells that a spreadsheet shall take for text: `="007"`; a careful reader of text keeps what stands there."""
    doc.rows = [[f"{r.randint(0, 99999):05}", *row] for row in doc.rows]
    doc.header = ["code", *doc.header]
    doc.raw_rows = {i: f'="{row[0]}"{doc.delimiter}{doc.line(row[1:])}' for i, row in enumerate(doc.rows)}
    doc.true_rows = {i: [f'="{row[0]}"', *row[1:]] for i, row in enumerate(doc.rows)}


def decimal_comma(doc: Document, r: random.Random) -> None:
    doc.delimiter = ";"
    doc.header = [*doc.header, "Betrag", "Anteil"]
    doc.rows = [[*row, f"{r.randint(0, 9999)},{r.randint(0, 99):02}", f"{r.randint(0, 99)},5 %"] for row in doc.rows]


def leading_delimiter(doc: Document, r: random.Random) -> None:
    """The first column is empty, in the header as in the rows."""
    doc.header = ["", *doc.header]
    doc.rows = [["", *row] for row in doc.rows]
    doc.true_header = ["column_1", *doc.header[1:]]


def newline_in_header(doc: Document, r: random.Random) -> None:
    c = r.randrange(len(doc.header))
    doc.header = [*doc.header[:c], f"{doc.header[c]}\n(EUR)", *doc.header[c + 1 :]]


def control_z(doc: Document, r: random.Random) -> None:
    doc.below, doc.final_newline = ["\x1a"], False


def doubled_returns(doc: Document, r: random.Random) -> None:
    """CR CR LF, as a text-mode copy of a Windows file has it."""
    doc.newline = "\r\r\n"


def json_cells(doc: Document, r: random.Random) -> None:
    doc.header = [*doc.header, "payload"]
    doc.rows = [[*row, f'{{"id": {r.randint(1, 99)}, "tags": ["a", "b, c"], "note": null}}'] for row in doc.rows]


def bare_json_cells(doc: Document, r: random.Random) -> None:
    """A cell with quotes of its own, between tabs, unquoted."""
    doc.delimiter, doc.quote = "\t", ""
    doc.rows = [[" ".join(cell.split()) for cell in row] for row in doc.rows]
    json_cells(doc, r)


def database_nulls(doc: Document, r: random.Random) -> None:
    doc.delimiter = "\t"
    doc.rows = [[r"\N" if r.random() < 0.2 and c else cell for c, cell in enumerate(row)] for row in doc.rows]


def backslash_t(doc: Document, r: random.Random) -> None:
    doc.delimiter, doc.quoting = r"\t", "all"


def one_column(doc: Document, r: random.Random) -> None:
    c = r.randrange(len(doc.header))
    doc.header, doc.rows = [doc.header[c]], [[row[c] or "none"] for row in doc.rows]


def many_columns(doc: Document, r: random.Random) -> None:
    width = r.choice([1024, 5000])
    doc.header = [f"{doc.header[c % len(doc.header)]} {c}" for c in range(width)]
    doc.rows = [[" ".join(row[c % len(row)].split()) for c in range(width)] for row in doc.rows[:12]]


def huge_name(doc: Document, r: random.Random) -> None:
    c = r.choice([0, len(doc.header) - 1])
    doc.header = [*doc.header[:c], "HEADER" * 100_000, *doc.header[c + 1 :]]


def one_row_other_escape(doc: Document, r: random.Random) -> None:
    doc.quoting = "all"
    places = {0, len(doc.rows) - 1, r.randrange(len(doc.rows))}
    for i in places:
        c = r.randrange(len(doc.header))
        cells = [*doc.rows[i]]
        cells[c] = f'{cells[c].replace(chr(34), "")} "so-called" thing'
        doc.rows[i] = cells
        doc.raw_rows[i] = doc.delimiter.join('"' + cell.replace('"', '\\"') + '"' for cell in cells)


def far_too_many_cells(doc: Document, r: random.Random) -> None:
    i = r.choice([0, 1, len(doc.rows) - 1])
    doc.raw_rows[i] = doc.line([*doc.rows[i], *(f"extra {k}" for k in range(r.randint(6, 12)))])


def second_table_at_once(doc: Document, r: random.Random) -> None:
    """Another table after two blank lines, of other names and as many columns less two."""
    width = max(2, len(doc.header) - 2)
    doc.below = ["", "", *(doc.delimiter.join(f"{word}{k}" for k in range(width)) for word in ("name", "p", "q", "s"))]


def numeric_names(doc: Document, r: random.Random) -> None:
    """Years as names over numbers."""
    doc.header = ["region", *map(str, range(2015, 2023))]
    doc.rows = [[f"Region {i}", *(str(r.randint(100, 99999)) for _ in range(8))] for i in range(len(doc.rows))]


def text_only(doc: Document, r: random.Random) -> None:
    """Names and cells are words: nothing but position tells the header."""
    words = ["red", "green", "blue", "small", "large", "cotton", "wool", "linen", "shirt", "coat"]
    doc.header = ["colour", "size", "fabric", "article"]
    doc.rows = [[r.choice(words) for _ in doc.header] for _ in doc.rows]


def title_over_group_names(doc: Document, r: random.Random) -> None:
    """A quoted title with commas, a blank line, then the table."""
    doc.above = ['"Sales, returns, and shipping, 2024 (draft)"' + doc.delimiter * (len(doc.header) - 1), ""]


def preamble_longer_than_table(doc: Document, r: random.Random) -> None:
    doc.rows = [[" ".join(cell.split()) for cell in row] for row in doc.rows[:12]]
    doc.above = [*(f"Parameter {n}: value {n * 3}" for n in range(25)), ""]


def half_of_rows_short(doc: Document, r: random.Random) -> None:
    kept = max(1, len(doc.header) - 2)
    for i in range(1, len(doc.rows), 2):
        doc.raw_rows[i] = doc.line(doc.rows[i][:kept])
        doc.true_rows[i] = [*doc.rows[i][:kept], *[""] * (len(doc.header) - kept)]


def empty_rows_below(doc: Document, r: random.Random) -> None:
    """As a spreadsheet writes rows that were cleared; of two columns or fewer nobody can tell them from rows."""
    if len(doc.header) > 2:
        doc.below = [doc.delimiter * (len(doc.header) - 1)] * r.randint(1, 5)


def header_other_quote(doc: Document, r: random.Random) -> None:
    doc.quoting, doc.show_header, doc.true_header = "all", False, doc.header
    doc.above = ["'" + f"'{doc.delimiter}'".join(doc.header) + "'"]


def header_other_delimiter(doc: Document, r: random.Random) -> None:
    doc.show_header, doc.true_header = False, doc.header
    doc.above = [r.choice([";", "\t", "|"]).join(doc.header)]


def empty_cell_in_first_row(doc: Document, r: random.Random) -> None:
    cells = [*doc.rows[0]]
    cells.insert(0, "")
    doc.raw_rows[0] = doc.line(cells)


FOREIGN: dict[str, Callable[[Document, random.Random], None]] = {
    "sep= line": separator_line, "excel text cells": excel_text, "decimal comma": decimal_comma,
    "leading delimiter": leading_delimiter,
    "newline in header": newline_in_header, "control-Z at end": control_z, "CR CR LF": doubled_returns,
    "JSON cells": json_cells, "bare JSON cells": bare_json_cells, "database nulls": database_nulls,
    "delimiter backslash t": backslash_t, "one column": one_column, "thousands of columns": many_columns,
    "name of 600 KB": huge_name, "other escape in rows": one_row_other_escape,
    "far too many cells": far_too_many_cells, "second table after two blanks": second_table_at_once,
    "years as names": numeric_names, "words only": text_only, "title with delimiters": title_over_group_names,
    "preamble longer than table": preamble_longer_than_table, "half of the rows short": half_of_rows_short,
    "empty rows below": empty_rows_below, "header in other quotes": header_other_quote,
    "header delimited otherwise": header_other_delimiter, "first row begins empty": empty_cell_in_first_row,
}  # fmt: skip
