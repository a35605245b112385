"""Files that held rows are corrected in: what a spreadsheet leaves alone comes back as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest
import xlsxwriter

from flowforge_assets.quarantine.correction_files import read, write
from flowforge_resources.errors import DecisionError

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = [
    "007",
    "=1+1",
    "{=1}",
    "http://x.org/" + "y" * 3000,
    "mailto:a@b.org",
    "internal:a",
    "2026-01-02",
    "1e5",
    "TRUE",
    " a, b ",
    "a;b\t",
    'say "yes"',
    "Zürich\nBern",
]


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_what_nobody_changed_comes_back_as_it_was(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"rows.{suffix}"
    write(pl.DataFrame({"_id": [str(n) for n in range(len(TEXTS))], "text": TEXTS}), file)
    assert [record["text"] for _, record in read(file, ("_id",))] == TEXTS


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_as_excel_saves_it_in_any_country_is_read(tmp_path: Path, encoding: str, delimiter: str) -> None:
    file = tmp_path / "rows.csv"
    lines = [
        ("_id", "name", "note"),
        ("1", "Müller", "x"),
        ("", "", ""),
        ("2", "Ωmega" if encoding != "cp1252" else "Ö"),
    ]
    file.write_bytes("\r\n".join(map(delimiter.join, lines)).encode(encoding))
    found = read(file, ("_id",))
    assert [line for line, _ in found] == [2, 4], "a line that was emptied says nothing"
    assert found[0][1] == {"_id": "1", "name": "Müller", "note": "x"}
    assert "note" not in found[1][1], "a cell that was left out was not corrected"


def test_what_a_person_typed_over_a_text_is_text(tmp_path: Path) -> None:
    file = tmp_path / "rows.xlsx"
    with xlsxwriter.Workbook(file) as book:
        book.add_worksheet().write_row(0, 0, ["_id", "a", "b", "c"])
        book.worksheets()[0].write_row(1, 0, ["1", 12, 12.5, True])
    assert read(file, ("_id",)) == [(2, {"_id": "1", "a": "12", "b": "12.5", "c": "TRUE"})]


def test_a_file_that_cannot_be_one_is_refused_in_words(tmp_path: Path) -> None:
    bad = tmp_path / "rows.xlsx"
    bad.write_text("no workbook")
    with pytest.raises(DecisionError, match="is no Excel workbook"):
        read(bad, ("_id",))
    with pytest.raises(DecisionError, match="`note` has a text of more than 32,767 characters"):
        write(pl.DataFrame({"note": ["x" * 40_000]}), bad)
