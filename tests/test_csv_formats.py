"""Any CSV-like file, read without losing a character: detection, damage, books, and laws that hypothesis tries to break."""

from __future__ import annotations

import csv
import io
import json
import random
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.csv_corpus.generate import generate
from benchmarks.csv_robustness import attempt, flowforge
from flowforge_assets.formats import csv_fast, csv_proof
from flowforge_assets.formats.csv_detect import detect
from flowforge_assets.formats.csv_fast import another
from flowforge_assets.formats.csv_options import RESCUED, ROW_NUMBER, CsvOptions
from flowforge_assets.formats.csv_read import read_any
from flowforge_assets.formats.csv_robust import read_csv_robust

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_assets.formats.csv_robust import RobustRead

QUIET = settings(
    max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)


def load(data: bytes, block_bytes: int = 4 << 20, **pins: object) -> tuple[RobustRead, pa.Table]:
    read = read_csv_robust(data, detect(data, pinned=CsvOptions.model_validate(pins)), block_bytes=block_bytes)
    table = pa.Table.from_batches(list(read), read.schema)
    assert read.account.balanced, read.account
    return read, table


def rows_of(table: pa.Table) -> list[tuple[str | None, ...]]:
    frame = pl.DataFrame(table).filter(pl.col(ROW_NUMBER).is_not_null())
    assert frame[ROW_NUMBER].to_list() == list(range(1, frame.height + 1))
    return frame.drop(ROW_NUMBER, RESCUED).rows()


def rows(data: bytes, **pins: object) -> list[tuple[str | None, ...]]:
    return rows_of(load(data, **pins)[1])


def names(data: bytes) -> tuple[str, ...]:
    return detect(data).columns


def test_a_leading_zero_stays_text():
    assert rows(b"id,qty\n007,1.50\n008,2.00\n") == [("007", "1.50"), ("008", "2.00")]


@pytest.mark.parametrize(
    "mark",
    [",", ";", "\t", "|", ":", "^", "~", "||", ", ", "~|~", "\x1f", "•", "│", "·", "[|]", "{,}", "+++", " - ", "=>"],
)
def test_the_delimiter_is_found(mark: str):
    lines = [
        mark.join(cells) for cells in (["id", "name", "day"], ["1", "Ann", "2024-01-05"], ["2", "Bo", "2024-02-06"])
    ]
    data = "\n".join(lines).encode()
    assert detect(data).delimiter == mark
    assert rows(data) == [("1", "Ann", "2024-01-05"), ("2", "Bo", "2024-02-06")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_encodings_and_line_ends_are_found(encoding: str, end: str):
    data = end.join(["id;name", "1;Jürgen", '2;"é; à"', "3;Zoë"]).encode(encoding)
    assert rows(data) == [("1", "Jürgen"), ("2", "é; à"), ("3", "Zoë")]


OLD_ENCODINGS = {
    "cp1252": ["Düsseldorf", "Besançon", "São Paulo", "£500"],
    "mac-roman": ["Düsseldorf", "Zürich", "Saint-Étienne"],
    "cp850": ["Düsseldorf", "Zürich", "Straße"],
    "cp1250": ["Łódź", "Gdańsk", "Świnoujście"],
    "iso8859-2": ["Plzeň", "Košice", "České Budějovice", "Ústí nad Labem"],
    "cp1254": ["Diyarbakır", "Şırnak", "Ağrı"],  # noqa: RUF001 -- a letter
    "cp1251": ["Москва", "Казань", "Нижний Новгород"],
    "koi8-r": ["Москва", "Казань", "Нижний Новгород"],
    "cp866": ["Москва", "Казань", "Нижний Новгород"],
    "cp1253": ["Αθήνα", "Θεσσαλονίκη", "Πάτρα"],
    "cp1255": ["תל אביב", "ירושלים", "חיפה"],
    "cp1256": ["القاهرة", "الرياض", "بغداد"],
    "cp874": ["กรุงเทพมหานคร", "เชียงใหม่"],
    "shift_jis": ["東京都サンプル", "大阪市の北", "名古屋"],
    "euc_jp": ["東京都サンプル", "大阪市の北", "名古屋"],
    "gb18030": ["北京市", "上海", "广州"],
    "big5": ["臺北市", "高雄市", "新竹縣"],
    "euc_kr": ["서울특별시", "부산광역시", "대구"],
}


@pytest.mark.parametrize("encoding", list(OLD_ENCODINGS))
def test_encodings_of_before_unicode_are_found(encoding: str):
    places = OLD_ENCODINGS[encoding]
    data = "\r\n".join(["id;place", *(f"{i};{place}" for i, place in enumerate(places))]).encode(encoding)
    assert rows(data) == [(str(i), place) for i, place in enumerate(places)]


@pytest.mark.parametrize(
    "text",
    ["25 °C", "5 µm ± 1", "§ 5; ½ l", "\u201cdas\u201d \u2013 L\u2019été", "¿Qué?", "Þingvellir;Ísafjörður", "È così"],
)
def test_a_few_accents_are_windows_1252(text: str):
    assert detect(f"id,text\n1,a\n2,{text}\n".encode("cp1252")).encoding == "cp1252"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("place", ["Москва", "上海市", "東京都", "Αθήνα"])
def test_utf_16_without_a_mark_is_found_in_any_script(encoding: str, place: str):
    data = f"号,{place}\r\n1,{place}\r\n2,{place}\r\n".encode(encoding)
    assert rows(data) == [("1", place), ("2", place)]


def test_a_byte_that_is_not_valid_is_kept_as_windows_1252():
    data = "id,name\n1,Zoë\n2,Bo\n3,Élan ça œuvre\n".encode() + b"4,caf\xe9\n"
    read, table = load(data)
    assert rows_of(table)[3] == ("4", "café")
    assert read.account.redecoded == 1


def test_title_comment_and_totals_are_rescued_and_no_rows():
    read, table = load(b"Sales report\n# draft\n\nid,name,amount\n1,Ann,2.5\n2,Bo,3.5\n3,Cy,1.0\nTotal,,7.0\n")
    assert rows_of(table) == [("1", "Ann", "2.5"), ("2", "Bo", "3.5"), ("3", "Cy", "1.0")]
    notes = [json.loads(text)[0] for text in table[RESCUED].to_pylist() if text]
    assert [(note["line"], note["raw"]) for note in notes] == [(1, "Sales report"), (2, "# draft"), (8, "Total,,7.0")]
    assert (read.account.header, read.account.blank, read.account.footer) == (1, 1, 1)


def test_a_file_of_numbers_has_no_header():
    assert names(b"1,2,3\n4,5,6\n7,8,9\n") == ("column_1", "column_2", "column_3")


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("time", ["16:38", "14:44", "22:22", "15:41"]),
        ("order", ["SO-69474", "SO-72443", "SO-58163", "SO-32272"]),
        ("title", ["Mug oak", "Coat red", "Mug oak", "Mug red", "Coat oak", "Coat red"]),
        ("url", ["https://ex.org/75?a=1&b=2", "https://ex.org/49?a=1"]),
        ("path", ["/var/log/a.log", "/var/log/b.log", "/opt/x/y.log"]),
        ("amount", ["8.610,95", "146,12 EUR", "-7.557,75"]),
        ("city", ["Bath", "New York", "Ulm", "La Paz", "Rome", "Oslo"]),
        ("ip", ["71.116.190.204", "198.91.91.156", "187.161.10.197"]),
        ("Full name", ["Ann Archer", "Bo Baker", "Cy Cole", "Di Dunn"]),
        (
            "comment",
            ["It was fine", "The staff seemed tired but kind", "No", "We would come again in 2025", "Good value"],
        ),
    ],
)
def test_a_mark_within_the_cells_of_a_single_column_is_no_delimiter(name: str, cells: list[str]):
    data = "\n".join([name, *cells]).encode()
    assert names(data) == (name,)
    assert rows(data) == [(cell,) for cell in cells]


def test_numbers_between_blanks_under_a_title_stay_columns():
    assert names(b"measured\nx y\n1 2\n3 4\n5 6\n7 8\n") == ("x", "y")
    assert rows(b"measured\n1 2\n3 4\n5 6\n7 8\n") == [("1", "2"), ("3", "4"), ("5", "6"), ("7", "8")]


def test_a_cell_that_a_spreadsheet_shall_take_for_text_does_not_hide_the_delimiter():
    lines = [f'="{i:05}",Mug,https://shop.example/p/{i}' for i in range(9)]
    assert names("\n".join(["code,title,url", *lines]).encode()) == ("code", "title", "url")
    assert rows("\n".join(["code,title,url", *lines]).encode())[7][0] == '="00007"'


def test_names_are_made_unique():
    assert names(b"a,b,a,,a_2\n1,2,3,4,5\n6,7,8,9,1\n") == ("a", "b", "a_3", "column_4", "a_2")


def test_two_header_lines_are_joined():
    assert names(b"id,sales,sales\n,2020,(EUR)\n1,5.5,6.5\n2,7.5,8.5\n3,1.5,2.5\n")[0] == "id"


def test_too_few_cells_are_null_and_noted():
    _, table = load(b"id,name,day\n1,Ann,2024-01-05\n2,Bo\n3,Cy,2024-01-07\n4,Di,2024-01-08\n")
    assert rows_of(table)[1] == ("2", "Bo", None)
    note = json.loads(table[RESCUED].to_pylist()[1])[0]
    assert note["line"] == 3
    assert note["raw"] == "2,Bo"
    assert "too few cells" in note["why"]


def test_an_unescaped_delimiter_is_put_back_into_its_cell():
    data = b"id,name,day\n1,Ann,2024-01-05\n2,Smith, Bo,2024-01-06\n3,Cy,2024-01-07\n4,Di,2024-01-08\n"
    assert rows(data)[1] == ("2", "Smith, Bo", "2024-01-06")


def test_cells_too_many_are_in_rescued_verbatim():
    _, table = load(b"id,n,day\n1,4,2024-01-05\n2,5,2024-01-06,17,spare\n3,6,2024-01-07\n4,7,2024-01-08\n")
    assert rows_of(table)[1] == ("2", "5", "2024-01-06")
    assert json.loads(table[RESCUED].to_pylist()[1])[0]["raw"] == "2,5,2024-01-06,17,spare"


def test_an_unclosed_quote_swallows_nothing():
    body = [f"{i},name {i},{i}.5" for i in range(1, 40)]
    body[5] = '6,"name 6,6.5'
    found = rows("\n".join(["id,name,x", *body]).encode())
    assert len(found) == 39
    assert found[5] == ("6", '"name 6', "6.5")
    assert found[38] == ("39", "name 39", "39.5")


def test_unescaped_quotes_within_a_quoted_cell_are_kept():
    assert rows(b'id,text,n\n1,"say "hi", twice",5\n2,"plain",6\n3,"x ""y""",7\n')[0] == ("1", 'say "hi", twice', "5")


def test_a_row_with_another_delimiter_is_split_by_it():
    data = b"id,name,day\n1,Ann,2024-01-05\n2;Bo;2024-01-06\n3,Cy,2024-01-07\n4,Di,2024-01-08\n"
    assert rows(data)[1] == ("2", "Bo", "2024-01-06")


def test_lines_end_inside_quotes_as_they_stood():
    data = b'id,text\r\n1,"a\r\nb"\r\n2,"c\nd"\r\n3,e\r\n4,"f"g\r\n'
    assert rows(data)[:3] == [("1", "a\r\nb"), ("2", "c\nd"), ("3", "e")]


def test_a_header_met_again_is_set_aside():
    read, table = load(b"id,n\n1,5\n2,6\nid,n\n3,7\n4,8\n")
    assert rows_of(table) == [("1", "5"), ("2", "6"), ("3", "7"), ("4", "8")]
    assert read.account.rescued == 1


@pytest.mark.parametrize("data", [b"", b"\n\n", b"a,b,c\n", b"\x00\x00\n"])
def test_files_without_rows_have_none(data: bytes):
    assert rows(data) == []


def test_nul_bytes_long_cells_and_many_columns_are_kept():
    wide = [",".join(f"c{i}" for i in range(5000)), ",".join(str(i) for i in range(5000))]
    assert rows("\n".join(wide).encode())[0][4999] == "4999"
    assert rows(b"id,x\n1,a\x00b\n2,c\n")[0] == ("1", "a\x00b")
    long = "long text, " * 100_000
    assert rows(f'id,x\n1,"{long}"\n2,b\n'.encode())[0] == ("1", long)


def test_a_clean_file_goes_the_fast_way_and_gives_the_same(tmp_path: Path):
    path = tmp_path / "clean.csv"
    path.write_text("id,name,day\n" + "".join(f"{i:03},n {i},\n" for i in range(500)))
    read = read_any(path)
    assert read.clean
    fast = read.frame().collect()
    slow = pl.DataFrame(pa.Table.from_batches(list(read.batches())))
    assert fast.equals(slow)
    assert read.counted(fast.height).balanced
    assert read.account.lines == 501


def test_lines_and_cells_longer_than_what_is_parsed_at_once_are_whole(tmp_path: Path):
    path = tmp_path / "long.csv"
    long = "x" * (csv_fast.PARSED_BYTES + 1)
    path.write_text("a,b,c\n" + "".join(f'{i},{long if i % 3 else i},"q\n,{i}"\n' for i in range(9)))
    read = read_any(path)
    assert read.clean
    assert read.frame().collect().equals(pl.DataFrame(pa.Table.from_batches(list(read.batches()))))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("chunk_bytes", [7, 64, 1 << 20])
def test_a_quoted_file_goes_the_fast_way_and_gives_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, chunk_bytes: int
):
    monkeypatch.setattr(csv_proof, "CHUNK_BYTES", chunk_bytes)
    path = tmp_path / "quoted.csv"
    cells = ["a, b", 'say ""x""', '""', "", "plain", ", ", '"",""', *(["two\nlines", "\n"] if end == "\n" else [])]
    body = "".join(f'{i},"{cells[i % len(cells)]}","x{i}"{end}' for i in range(500))
    path.write_bytes(f'"id",name,"day"{end}{body}'.encode())
    read = read_any(path)
    assert read.clean
    fast = read.frame().collect()
    slow = pl.DataFrame(pa.Table.from_batches(list(read.batches())))
    careful = read.account
    assert fast.equals(slow)
    assert read.counted(fast.height) == careful


@pytest.mark.parametrize(
    "spoiled", ['7,x "y" z,d\n', '7,"x" y,d\n', '7,"x,d\n', '"7","x","y","z"\n', "'7','x','y'\n", "id,name,day\n"]
)
def test_a_quoted_file_that_is_spoiled_is_not_clean(tmp_path: Path, spoiled: str):
    path = tmp_path / "spoiled.csv"
    regular = "".join(f'{i},"n, {i}",d\n' for i in range(50_000))
    path.write_bytes(("id,name,day\n" + regular + spoiled + '8,"n",d\n').encode())
    assert not read_any(path).clean


@pytest.mark.parametrize("spoiled", ["7,x\n", "7,x,y,z\n", '7,"x,y\n', "\n", "7,x\r,y\n"])
def test_a_spoiled_file_is_not_clean_but_frames_all_the_same(tmp_path: Path, spoiled: str):
    path = tmp_path / "spoiled.csv"
    path.write_bytes(("id,name,day\n" + "".join(f"{i},n,d\n" for i in range(50)) + spoiled + "8,n,d\n").encode())
    read = read_any(path)
    assert not read.clean
    assert read.frame().filter(pl.col("id") == "8").collect().height == 2
    assert read.frame().collect().filter(pl.col(ROW_NUMBER).is_not_null()).height >= 51


def test_a_further_file_of_the_same_kind_is_recognised_without_detecting(tmp_path: Path):
    body = "".join(f"{i},n,2024-01-05\n" for i in range(9))
    contents = [
        "id,name,day\n" + body,
        "id,day,name\n" + body,
        "id,name,day\n" + body + "9,x\n",
        "id,name,day\n" + body + "Total,,\n",
    ]
    paths = [tmp_path / f"{i}.csv" for i in range(4)]
    for path, content in zip(paths, contents, strict=True):
        path.write_text(content)
    dialect = detect(paths[0])
    assert [another(path, dialect) is not None for path in paths] == [True, False, False, False]


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\ufeff"), max_size=12) | st.sampled_from(
    ['"', "'", '""', ",", "\n", "\r\n", " ", "a,b", '"a"', "# x", "Total", "\\", "\\n", "007", "null", "\x1f"]
)


@st.composite
def written(draw: st.DrawFn) -> tuple[list[list[str]], bytes, dict[str, object]]:
    width = draw(st.integers(2, 5))
    table = draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=12))
    delimiter = draw(st.sampled_from([",", ";", "\t", "|"]))
    quoting = draw(st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC]))
    quote = draw(st.sampled_from(['"', "'"]))
    text = io.StringIO()
    end = draw(st.sampled_from(["\n", "\r\n"]))
    writer = csv.writer(text, delimiter=delimiter, quotechar=quote, quoting=quoting, lineterminator=end)
    writer.writerow([f"name {i}" for i in range(width)])
    writer.writerows(table)
    pins = {
        "delimiter": delimiter, "quote": quote, "escape": "double", "header": True, "skip_lines": 0, "footer_lines": 0,
        "comment": "", "trailing_delimiter": False, "encoding": "utf-8",
    }  # fmt: skip
    return table, text.getvalue().encode(), pins


@QUIET
@given(written(), st.sampled_from([64, 1 << 20]))
def test_what_a_writer_wrote_is_read_back_the_same(case: tuple[list[list[str]], bytes, dict[str, object]], block: int):
    table, data, pins = case
    _, found = load(data, block_bytes=block, **pins)
    assert [list(row) for row in rows_of(found)] == table


@QUIET
@given(
    st.lists(st.text("ab1 ,;\"'\\\n\r#\x00é", max_size=30), max_size=12),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([16, 1 << 20]),
)
def test_no_text_of_any_file_is_lost(lines: list[str], end: str, block: int):
    data = end.join(lines).encode()
    read, table = load(data, block_bytes=block)
    kept = "".join(text for column in table.columns[1:] for text in map(str, column.to_pylist())) + "".join(
        read.dialect.columns
    )
    aside = [note["raw"] for text in table[RESCUED].to_pylist() if text for note in json.loads(text)]
    for character in "ab1é":
        assert (kept + "".join(aside)).count(character) >= data.decode().count(character) - _joined_names(
            read, character
        )


def _joined_names(read: RobustRead, character: str) -> int:
    """Names that stand twice in one column's header lines are joined once."""
    return 0 if read.dialect.header_lines < 2 else 10**6


@pytest.mark.parametrize("block", [40, 200, 4 << 20])
def test_blocks_of_any_size_give_the_same(block: int):
    r = random.Random(5)
    lines = ["id,name,text,x"]
    for i in range(120):
        line = f'{i},name {i},"text, with\nline {i}",{i}.5'
        damaged = [line, line, line, f"{i},short", f'{i},"un"esc"aped",t,1.5', f'{i},"open,t,1.5', f"{i},a, b,t,1.5"]
        lines.append(r.choice(damaged))
    data = "\n".join(lines).encode()
    assert load(data, block_bytes=block)[1].equals(load(data)[1])


def test_the_corpus_is_read_nearly_perfectly(tmp_path: Path):
    generate(tmp_path, seed=11, tables_per_kind=1, mixed_files=25, wild_files=25)
    means = [
        attempt(flowforge, path, json.loads(path.with_suffix(".json").read_text())).mean
        for path in sorted(tmp_path.glob("*.csv"))
    ]
    assert len(means) > 100
    assert sum(means) / len(means) > 0.97


@pytest.mark.parametrize(
    "header",
    ["0,1,2,3,4", "2019,2020,2021,2022,2023"],
)
def test_numbers_in_steps_above_measurements_are_names(header: str):
    measured = "\n".join(f"{i}.25,{i}.5,0.7{i},,1.{i}" for i in range(6))
    assert names(f"{header}\n{measured}\n".encode()) == tuple(header.split(","))
    assert names(f"{header}\n{header}\n5,6,7,8,9\n".encode())[0] == "column_1"


def test_names_above_rows_that_drop_their_empty_cells_at_the_end_are_the_header():
    rows_ = ["1,a,b,c,y", "2,a,b,,y", "3,a,b,c,y,z", "4,a,b,c", "5,a,b,c,y", "6,a,b", "7,a,b,c", "8,a,b,c", "9,a,b,c"]
    data = "\n".join(["id,age,mood,comment,extra1,extra2", *rows_]).encode()
    assert names(data) == ("id", "age", "mood", "comment", "extra1", "extra2")
    assert len(rows(data)) == len(rows_)


def test_names_in_the_last_comment_above_rows_without_are_the_header():
    data = b"##format=1\n##source=x,y\n#chrom\tstart\tgene\nchr1\t12\tMYC\nchr2\t40\tTP53\nchrX\t7\tEGFR\n"
    assert names(data) == ("chrom", "start", "gene")
    assert len(rows(data)) == 3


def test_a_second_header_line_that_fills_the_gaps_of_the_first_is_header():
    lines = ["Id,Date,Which apply?,,", ",,Phone,E-mail,Other", "10,2024-01-05,Phone,,", "11,2024-01-06,,E-mail,fax"]
    data = "\n".join([*lines, *(f"{i},2024-02-06,Phone,E-mail," for i in range(12, 20))]).encode()
    assert names(data) == ("Id", "Date", "Which apply? Phone", "E-mail", "Other")
    assert len(rows(data)) == 10


def test_a_header_of_texts_met_again_is_no_row():
    lines = ["land,capital,part", "France,Paris,Europe", "Japan,Tokyo,Asia", "Peru,Lima,America", "Laos,Vientiane,Asia"]
    again = [*lines, lines[0], "Italy,Rome,Europe", "Cuba,Havana,America"]
    assert len(rows("\n".join(again).encode())) == 6
    doubled = "\ufeff" + "\r\n".join([*lines, "\ufeff" + lines[0], *lines[1:]])
    assert len(rows(doubled.encode())) == 8


def test_a_single_line_with_a_number_is_a_row():
    assert rows(b"chrX;877240;19138732;MYC;-\n") == [("chrX", "877240", "19138732", "MYC", "-")]
    assert names(b"country;code;2019;2020;2021;2022\n")[2] == "2019"


def test_a_total_of_all_columns_at_the_end_is_no_row():
    body = "\n".join(f"{land},{i},{i}.5" for i, land in enumerate(["France", "Japan", "Peru", "Cuba"]))
    assert len(rows(f"land,count,sum\n{body}\nTotal,6,8.0\n".encode())) == 4
    assert len(rows(f"land,count,sum\nTotal,1,2.0\n{body}\nTotal,6,8.0\n".encode())) == 6
    assert len(rows(b"measure,north,south\ncount,3,4\nmean,2.5,3.5\nmaximum,4,5\ntotal,7.5,14\n")) == 4


def test_numbers_that_the_delimiter_cuts_in_every_row_are_whole():
    decimals = b"id,city,day,temp\n1,Ulm,2024-01-05,49,25\n2,Rome,2024-01-06,-5,43\n3,Oslo,2024-01-07,86,64\n"
    assert names(decimals) == ("id", "city", "day", "temp")
    assert rows(decimals)[1] == ("2", "Rome", "2024-01-06", "-5,43")
    groups = b"state,people,capital\nOhio,11,799,448,Columbus\nIowa,3,190,369,Des Moines\nUtah,947,123,Salt Lake City\n"
    assert names(groups) == ("state", "people", "capital")
    assert rows(groups) == [
        ("Ohio", "11,799,448", "Columbus"),
        ("Iowa", "3,190,369", "Des Moines"),
        ("Utah", "947,123", "Salt Lake City"),
    ]
    index = b"age,score,height\n1,23,45,1.70\n2,24,46,1.80\n3,25,47,1.90\n"
    assert names(index) == ("column_1", "age", "score", "height")


def test_row_names_without_a_name_above_them_are_the_first_column():
    cars = ["Mazda;1.5;0.2", "Datsun 710;1.6;0.3", "Hornet 4;0.7;-0.6", "Valiant;0.8;0.7", "Duster;1.2;0.3"]
    assert names("\n".join(["x1;x2", *cars]).encode()) == ("column_1", "x1", "x2")
