"""Tables that are no CSV as they stand, and still delimited text: drawn, or quoted line by line; nothing of them is lost."""

from __future__ import annotations

import gzip
import json
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.csv_corpus.document import Document
from benchmarks.csv_corpus.guises import GUISES
from flowforge_assets.formats.csv_guise import guise_of
from flowforge_assets.formats.csv_options import RESCUED, ROW_NUMBER, CsvOptions
from flowforge_assets.formats.file_options import FileOptions
from flowforge_assets.formats.read_file import clean_csv, read_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from flowforge_assets.formats.file_read import FileRead

HEADER = ["id", "name", "price"]
ROWS = [["007", "Spade", "12.50"], ["008", "", "7.00"], ["009", 'a "fine" rake', "-3.20"]]
DRAWINGS = ("markdown", "database shell", "box characters", "aligned shell")


def loaded(folder: Path, content: bytes, **csv: object) -> tuple[FileRead, list[tuple[str | None, ...]], list[dict]]:
    """How a file is read, its records, and what is set aside of it."""
    path = folder / "landed"
    path.write_bytes(content)
    read = read_file(path, FileOptions(csv=CsvOptions.model_validate(csv)), folder / "scratch")
    frame = read.frame().collect()
    records = frame.filter(frame[ROW_NUMBER].is_not_null())
    clean = clean_csv(read)
    assert (clean.counted(records.height) if clean else read.account).balanced
    aside = [note for text in frame[RESCUED].drop_nulls() for note in json.loads(text)]
    return read, records.select(read.columns).rows(), aside


def drawn(kind: str, header: Sequence[str], rows: Sequence[Sequence[str]], seed: int = 0) -> Document:
    doc = Document([*header], [[*row] for row in rows])
    GUISES[kind](doc, random.Random(seed))
    return doc


@pytest.mark.parametrize("kind", DRAWINGS)
@pytest.mark.parametrize("above", [[], ["Query of 2026-01-01", ""]], ids=["bare", "titled"])
def test_a_drawn_table_is_its_cells_and_its_rulers_are_set_aside_verbatim(
    kind: str, above: list[str], tmp_path: Path
) -> None:
    doc = drawn(kind, HEADER, ROWS)
    doc.above = above
    text = doc.render().decode()
    read, rows, aside = loaded(tmp_path, text.encode())
    assert read.columns == tuple(HEADER)
    assert rows == [tuple(row) for row in ROWS]
    assert read.as_dict()["written_as"] == "drawn table"
    lines = text.splitlines()
    assert [lines[note["line"] - 1] for note in aside] == [note["raw"] for note in aside]
    assert read.account.lines == len(lines)
    assert {*lines} - {note["raw"] for note in aside} - {""} <= {
        line for line in lines if any(c.isalnum() for c in line)
    }


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
@given(
    kind=st.sampled_from(DRAWINGS),
    seed=st.integers(0, 5),
    rows=st.lists(
        st.lists(st.text("abc xyz0189.,;\"'\\-é", max_size=8).map(str.strip), min_size=3, max_size=3),
        min_size=3,
        max_size=9,
    ),
)
def test_what_was_drawn_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, kind: str, seed: int, rows: list
) -> None:
    numbered = [[f"{n}a", *(cell if set(cell) - set("-=. ") else "" for cell in row)] for n, row in enumerate(rows)]
    doc = drawn(kind, ["key", "one", "two", "three"], numbered, seed)
    _, found, _ = loaded(tmp_path_factory.mktemp("drawn"), doc.render())
    assert found == [tuple(row) for row in doc.rows]


def test_a_bar_within_a_cell_of_markdown_is_kept(tmp_path: Path) -> None:
    _, rows, _ = loaded(tmp_path, b"| id | said |\r\n|:--|--:|\r\n| 1 | a \\| b |\r\n| 2 |  |\r\n")
    assert rows == [("1", "a | b"), ("2", "")]


@pytest.mark.parametrize("head", ["id,name,price", '"id,name,price"', '"""id"",""name"",""price"""'])
def test_lines_in_quotes_are_the_records_they_hold(head: str, tmp_path: Path) -> None:
    body = [json.dumps(line)[1:-1].replace('\\"', '""') for line in ('007,"Spade, long",12.50', "008,,7.00")]
    content = "\n".join([head, *(f'"{line}"' for line in body)]).encode()
    read, rows, _ = loaded(tmp_path, content)
    assert read.columns == tuple(HEADER)
    assert rows == [("007", "Spade, long", "12.50"), ("008", "", "7.00")]
    assert loaded(tmp_path, gzip.compress(content))[1] == rows
    assert loaded(tmp_path, content.decode().encode("utf-16"))[1] == rows


def test_a_single_line_in_quotes_is_read_and_noted(tmp_path: Path) -> None:
    lines = ["id,name,price", *(f"{n},Rake {n},1.5" for n in range(9)), '"9,""Rake, big"",2.5"']
    _, rows, aside = loaded(tmp_path, "\n".join(lines).encode())
    assert rows[-1] == ("9", "Rake, big", "2.5")
    assert aside == [{"line": 11, "raw": lines[-1], "why": "quoted as a whole"}]


@pytest.mark.parametrize(
    "lines",
    [
        ['"name"', '"Doe, Jane"', '"Poe, Edgar"'],
        ['"name, first"', '"Doe, Jane"', '"Poe, Edgar"'],
        ["text", '"one, two, three"', '"It is late, and cold."'],
        ['"a","b"', '"","2"', '"",""'],
        ["a|b", "1|2", "---|---", "3|4"],
        ["title", "-----", "1|2"],
        ["a b", "--- ---", "1 2"],
    ],
)
def test_what_only_looks_like_a_guise_is_left_as_it_is(lines: list[str]) -> None:
    assert guise_of(lines, CsvOptions()) is None


def test_a_pinned_dialect_is_obeyed(tmp_path: Path) -> None:
    read, rows, _ = loaded(tmp_path, b'"a,b"\n"1,2"\n', delimiter=",")
    assert (read.columns, rows) == (("a,b",), [("1,2",)])


# -- what hid the table, and does not now ------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0, 1])
def test_a_record_of_a_thousand_lines_does_not_hide_the_table(place: int, tmp_path: Path) -> None:
    letter = "\n".join(f"line {n}, and more" for n in range(1000))
    records = [["id", "name", "note"], ["1", "a", "short"], *([str(n), "b", "short"] for n in range(2, 9))]
    records[place][2] = letter
    text = "".join(f'{one},{two},"{three}"\n' for one, two, three in records)
    read, rows, _ = loaded(tmp_path, text.encode())
    assert read.columns == tuple(records[0])
    assert rows == [tuple(row) for row in records[1:]]


def test_an_unclosed_quote_far_above_another_swallows_no_sample(tmp_path: Path) -> None:
    lines = ["id,name,price", '0,"open,1.5', *(f"{n},Rake,1.5" for n in range(1, 200)), '200,"open,1.5']
    _, rows, _ = loaded(tmp_path, "\n".join(lines).encode())
    assert len(rows) == 201


@pytest.mark.parametrize(
    ("content", "columns", "rows"),
    [
        ("at,a,b\n2026-01-01 10:00:00,1,2\n2026-01-02 11:00:00\n2026-01-03 12:30:00,1\n", ("at", "a", "b"), 3),
        ('\'a\',\'b\',\'c\'\n"x","1","2"\n"y","2","3"\n', ("a", "b", "c"), 2),
        ("a;b\nk1,0.5\nk2,0.7\nk3,0.1\n", ("a", "b"), 3),
        ("a,b,c\n1,x,2\n2,y,3\n,,\n,,\n", ("a", "b", "c"), 2),
        ("a\tb\tc\n1\tx\t2\n2\ty\t3\n\t\t\n", ("a", "b", "c"), 2),
        ("id,day,n\n,1,2026-01-01,5\n2,2026-01-02,6\n3,2026-01-03,7\n", ("id", "day", "n"), 3),
        (
            "\n".join([f"Part {n}: {n}" for n in range(20)] + ["", "a,b,c", *(f"{n},x,{n}.5" for n in range(9))]),
            ("a", "b", "c"),
            9,
        ),
    ],
    ids=[
        "times",
        "other quotes",
        "other delimiter",
        "emptied rows",
        "emptied rows, tabs",
        "shifted first row",
        "preamble",
    ],
)
def test_the_table_is_found(content: str, columns: tuple[str, ...], rows: int, tmp_path: Path) -> None:
    read, found, _ = loaded(tmp_path, content.encode())
    assert (read.columns, len(found)) == (columns, rows)


def test_rows_between_bars_under_rulers_of_one_piece_are_their_cells(tmp_path: Path) -> None:
    ruler = "-" * 26
    rows = [f"|{i:<4}|{name:<12}|{price:>6}|" for i, name, price in [(7, "Spade", 12.5), (8, "Rake", 7), (9, "", 3.2)]]
    lines = ["05.01.2024   List 1", ruler, "|id  |name        | price|", ruler, *rows, ruler]
    read, found, aside = loaded(tmp_path, "\r\n".join(lines).encode())
    assert read.columns == ("id", "name", "price")
    assert found == [("7", "Spade", "12.5"), ("8", "Rake", "7"), ("9", "", "3.2")]
    assert [note["raw"] for note in aside] == [lines[0], ruler, ruler, ruler]


def test_rows_that_begin_and_end_with_a_bar_have_no_cells_outside(tmp_path: Path) -> None:
    read, found, _ = loaded(tmp_path, b"|a|b|c|\n|1|x|2.5|\n|2||3.5|\n|3|z|4.5|\n")
    assert read.columns == ("a", "b", "c")
    assert found == [("1", "x", "2.5"), ("2", "", "3.5"), ("3", "z", "4.5")]
    assert loaded(tmp_path, b"|a|,|b|\n|1|,|x|\n|2|,|y, z|\n")[1] == [("1", "x"), ("2", "y, z")]


def test_columns_flush_right_are_parted_by_their_blanks(tmp_path: Path) -> None:
    lines = [
        "      time    dev  value",
        "2024-01-05  dev-1  18.80",
        "2024-01-06 dev-12   3.43",
        "2024-01-07  dev-3 103.10",
    ]
    read, found, _ = loaded(tmp_path, "\n".join(lines).encode())
    assert read.columns == ("time", "dev", "value")
    assert found == [tuple(line.split()) for line in lines[1:]]


def test_a_line_in_quotes_may_have_empty_cells_behind_it(tmp_path: Path) -> None:
    lines = ['"id,name,price";;', '"1,""Spade, large"",2.5";;', '"2,Rake,3.5";;']
    read, found, _ = loaded(tmp_path, "\n".join(lines).encode())
    assert read.columns == ("id", "name", "price")
    assert found == [("1", "Spade, large", "2.5"), ("2", "Rake", "3.5")]
