"""Rare ways of parting cells and records, and one stray quote anywhere: read as a careful person reads them, nothing lost."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from benchmarks.csv_corpus.document import Document
from benchmarks.csv_corpus.odd_ways import ODD
from benchmarks.csv_corpus.tables import customers, sales
from benchmarks.csv_robustness import attempt, flowforge
from flowforge_assets.formats.csv_options import RESCUED, ROW_NUMBER, CsvOptions
from flowforge_assets.formats.file_options import FileOptions
from flowforge_assets.formats.read_file import read_file

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_assets.formats.file_read import FileRead

HEADER = ("id", "name", "price")


def loaded(folder: Path, text: str, **csv: object) -> tuple[FileRead, list[tuple[str | None, ...]], list[dict]]:
    """How a text is read, its records, and what is set aside of it."""
    path = folder / "landed"
    path.write_text(text, newline="")
    read = read_file(path, FileOptions(csv=CsvOptions.model_validate(csv)), folder / "scratch")
    frame = read.frame().collect()
    records = frame.filter(frame[ROW_NUMBER].is_not_null())
    aside = [note for notes in frame[RESCUED].drop_nulls() for note in json.loads(notes)]
    return read, records.select(read.columns).rows(), aside


@pytest.mark.parametrize("kind", list(ODD))
def test_an_odd_way_is_read_as_it_is_meant(kind: str, tmp_path: Path) -> None:
    for seed in range(2):
        r = random.Random(f"{kind}:{seed}")
        doc = Document(*(customers, sales)[seed](r, 24))
        ODD[kind](doc, r)
        header, rows = doc.truth()
        path = tmp_path / f"{seed}.csv"
        path.write_bytes(doc.render())
        found = attempt(flowforge, path, {"header": header, "rows": rows})
        # A title of a page that looks like a row, a cell whose escape stays: at most one record in twenty.
        assert found.mean > 0.95, found


PLACES = {
    "before the cell": lambda cell: '"' + cell,
    "after the cell": lambda cell: cell + '"',
    "within the cell": lambda cell: cell[: len(cell) // 2] + '"' + cell[len(cell) // 2 :],
    "its own one gone": lambda cell: cell.removesuffix('"'),
}


@pytest.mark.parametrize("place", list(PLACES))
@pytest.mark.parametrize("quoting", ["minimal", "all"])
def test_a_stray_quote_costs_its_row_at_most(quoting: str, place: str, tmp_path: Path) -> None:
    r = random.Random(3)
    header, rows = sales(r, 80)
    rows = [
        [*row[:6], f"{row[6]}\nsecond line, and more" if i % 6 == 0 else row[6], *row[7:]] for i, row in enumerate(rows)
    ]
    doc = Document(header, rows, quoting=quoting)
    for i in (0, 1, 6, 41, 42, 78, 79):
        for c in (0, r.randrange(1, 8), 8):
            cells = [doc.cell(cell, ",", '"') for cell in rows[i]]
            cells[c] = PLACES[place](cells[c])
            doc.raw_rows = {i: ",".join(cells)}
            _, found, _ = loaded(tmp_path, doc.render().decode())
            lost = Counter(map(tuple, rows)) - Counter(tuple(cell or "" for cell in row) for row in found)
            assert lost.total() <= 1, (i, c, lost)
            assert len(found) == len(rows), (i, c)


def test_delimiters_too_many_are_no_columns_and_a_cell_behind_them_is_rescued(tmp_path: Path) -> None:
    lines = ["id,name,price,,,", *(f"{i},n{i},{i}.5,,," for i in range(30)), "30,n30,30.5,,stray,"]
    read, rows, aside = loaded(tmp_path, "\n".join(lines))
    assert read.columns == HEADER
    assert rows[3] == ("3", "n3", "3.5")
    assert len(rows) == 31
    assert [note["line"] for note in aside] == [32]
    assert "stray" in aside[0]["raw"]
    pinned, _, _ = loaded(tmp_path, "\n".join(lines[:20]), trailing_delimiter=2)
    assert pinned.columns == (*HEADER, "column_4")


def test_a_first_line_declares_the_delimiter_and_is_set_aside(tmp_path: Path) -> None:
    read, rows, aside = loaded(tmp_path, 'sep=/\nid/name/price\n1/"a, b/c"/2.5\n2/x, y/3.5\n')
    assert read.columns == HEADER
    assert rows == [("1", "a, b/c", "2.5"), ("2", "x, y", "3.5")]
    assert [note["raw"] for note in aside] == ["sep=/"]


def test_titles_and_headers_of_further_pages_are_set_aside(tmp_path: Path) -> None:
    page = ["List of items", "", "id,name,price"]
    lines = [*page, *(f"{i},n{i},{i}.5" for i in range(9)), "", *page, *(f"{i},n{i},{i}.5" for i in range(9, 15))]
    read, rows, aside = loaded(tmp_path, "\n".join(lines))
    assert read.columns == HEADER
    assert [row[0] for row in rows] == [str(i) for i in range(15)]
    assert [note["raw"] for note in aside] == ["List of items", "List of items", "id,name,price"]


def test_ascii_separators_keep_line_ends_and_quotes_within_cells(tmp_path: Path) -> None:
    table = [HEADER, ("007", 'a "fine"\nspade', "12"), ("008", "", "7"), ("009", "b\r\nc", "8")]
    read, rows, _ = loaded(tmp_path, "\x1e".join("\x1f".join(row) for row in table))
    assert read.as_dict()["written_as"] == "ASCII separators"
    assert read.columns == HEADER
    assert rows == table[1:]


def test_curly_quotes_hold_delimiters_line_ends_and_straight_quotes(tmp_path: Path) -> None:
    text = (
        'id;name;price\n1;“a; 6" pipe”;2\n2;“two\nlines “of” it”;3\n3;plain;4\n4;“x;”;5\n5;“never closed;6\n6;“y;z”;7\n'
    )
    more = [(str(i), f"y;{i}", "7") for i in range(7, 30)]
    read, rows, _ = loaded(tmp_path, text + "".join(f"{i};“{name}”;{price}\n" for i, name, price in more))
    assert read.as_dict()["written_as"] == "cells in “ and ”"
    assert rows[:4] == [
        ("1", 'a; 6" pipe', "2"),
        ("2", "two\nlines “of” it", "3"),
        ("3", "plain", "4"),
        ("4", "x;", "5"),
    ]
    assert rows[-24:] == [("6", "y;z", "7"), *more]


@pytest.mark.parametrize(
    "cells",
    [("«a»b", "he said “no”", "x"), ("5|x", "a || b", "~ten"), ("std::string", "a->b", "$5"), ("þ", "1þ2", "$5")],
)
def test_marks_within_text_are_text(cells: tuple[str, ...], tmp_path: Path) -> None:
    table = [tuple(f"{cell}{i}" for cell in cells) for i in range(20)]
    read, rows, aside = loaded(tmp_path, "\n".join(",".join(row) for row in [HEADER, *table]))
    assert "written_as" not in read.as_dict()
    assert (read.columns, rows, aside) == (HEADER, table, [])


LINES = [
    "id,name,amount,day",
    *(f"{i},Name {i},{i * 3}.50,2024-01-{i % 28 + 1:02}" for i in range(1, 21)),
]
TRUE = [tuple(line.split(",")) for line in LINES]


def changed(place: int, old: str, new: str, *, around: str = "") -> str:
    """The table's text with one line written in another way."""
    lines = [*LINES]
    lines[place] = f"{around}{lines[place].replace(old, new)}{around}"
    return "\n".join(lines)


NASTY = {
    **{f"line {place} by {mark!r}": changed(place, ",", mark) for place in (0, 1, 11, 20) for mark in ";\t|"},
    **{f"line {place} in apostrophes": changed(place, ",", "','", around="'") for place in (0, 1, 11, 20)},
    **{f"line {place} quoted as a whole": changed(place, "", "", around='"') for place in (0, 1, 11, 20)},
    "two marks": "\ufeff\ufeff" + "\n".join(LINES),
    "titles and totals": "\n".join(["From: x@example.org", "Subject: data, please", "", *LINES, "Total,,630.00,"]),
    "a prompt": "\n".join(["mysql> select * from t;", *LINES, "20 rows in set (0.00 sec)"]),
    "tables below": "\n".join([*LINES, "", "city,pop", "Rome,3", "Oslo,1", "", "x;y;z", "1;2;3"]),
    "all kinds of ends": "".join(line + ("\n", "\r\n", "\r")[i % 3] for i, line in enumerate(LINES)),
    "zeros at the end": "\n".join(LINES) + "\n" + "\0" * 512,
}


@pytest.mark.parametrize("kind", list(NASTY))
def test_one_line_written_otherwise_is_read_and_what_is_no_row_is_none(kind: str, tmp_path: Path) -> None:
    read, rows, _ = loaded(tmp_path, NASTY[kind])
    assert (read.columns, rows) == (TRUE[0], TRUE[1:])


def test_rows_that_all_end_early_are_still_rows_of_the_names_above(tmp_path: Path) -> None:
    short = [row[: 2 + i % 3] for i, row in enumerate(TRUE[1:])]
    read, rows, _ = loaded(tmp_path, "\n".join(",".join(row) for row in [TRUE[0], *short]))
    assert read.columns == TRUE[0]
    assert rows == [(*row, *[None] * (4 - len(row))) for row in short]


def test_backslashes_before_quotes_of_every_record_over_lines(tmp_path: Path) -> None:
    table = [(row[0], f'{row[1]}\nline, "two"', *row[2:]) for row in TRUE[1:]]
    text = "\n".join(",".join('"' + cell.replace('"', '\\"') + '"' for cell in row) for row in [TRUE[0], *table])
    read, rows, _ = loaded(tmp_path, text)
    assert (read.columns, rows) == (TRUE[0], table)


def test_sentences_with_a_comma_under_one_name_are_one_column(tmp_path: Path) -> None:
    remarks = [(f"all good here, number {i}",) for i in range(20)]
    read, rows, _ = loaded(tmp_path, "\n".join(["remark", *(row[0] for row in remarks)]))
    assert (read.columns, rows) == (("remark",), remarks)
