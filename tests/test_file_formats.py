"""Every format but plain CSV: what stood in the file stands in the rows, or in `_rescued`; broken files say what is broken."""

from __future__ import annotations

import bz2
import datetime as dt
import gzip
import io
import json
import zipfile
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from flowforge_assets.formats.compression import Limits, opened
from flowforge_assets.formats.file_options import FileOptions
from flowforge_assets.formats.read_file import read_file
from flowforge_resources.errors import BadFileError
from workbooks import Cell, write_workbook

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_assets.formats.file_read import FileRead

CSV = b"id,name\n1,Ann\n2,Bob\n3,Cy\n"
_numbers = count()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("formats")


def read(folder: Path, data: bytes | str, **options: object) -> tuple[FileRead, list[dict[str, object]]]:
    path = folder / f"file_{next(_numbers)}"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    found = read_file(path, FileOptions(**options), folder / f"{path.name}.scratch")
    return found, found.frame().collect(engine="streaming").to_dicts()


def cells(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Rows without what we add."""
    return [
        {k: v for k, v in row.items() if k not in {"_row_number", "_rescued"}}
        for row in rows
        if row["_row_number"] is not None
    ]


def rescued(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    return [note for row in rows if row["_rescued"] for note in json.loads(str(row["_rescued"]))]


def zipped(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


# Compression


@pytest.mark.parametrize(
    ("packed", "kind"),
    [
        (CSV, "none"),
        (gzip.compress(CSV), "gzip"),
        (gzip.compress(CSV[:10]) + gzip.compress(CSV[10:]), "gzip"),
        (bz2.compress(CSV[:10]) + bz2.compress(CSV[10:]), "bzip2"),
        (pa.compress(CSV[:10], "zstd", asbytes=True) + pa.compress(CSV[10:], "zstd", asbytes=True), "zstd"),
        (zipped(**{"a.csv": CSV, "__MACOSX/._a.csv": b"x"}), "zip"),
        (zipped(**{"a.csv.gz": gzip.compress(CSV)}), "zip+gzip"),
    ],
    ids=["plain", "gzip", "two gzip members", "bzip2 streams", "zstd frames", "zip", "zip of gzip"],
)
def test_compression_is_known_by_content(folder, packed, kind):
    found, rows = read(folder, packed)
    assert cells(rows) == [{"id": "1", "name": "Ann"}, {"id": "2", "name": "Bob"}, {"id": "3", "name": "Cy"}]
    assert found.as_dict()["compression"] == kind


def test_a_file_that_is_not_compressed_is_not_copied(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(CSV)
    assert opened(path, tmp_path / "scratch") == path
    assert not (tmp_path / "scratch").exists()


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(CSV * 999),
        bz2.compress(CSV * 999),
        pa.compress(CSV * 999, "zstd", asbytes=True),
        zipped(a=CSV * 999),
    ],
    ids=["gzip", "bzip2", "zstd", "zip"],
)
def test_a_truncated_archive_is_refused_and_says_so(folder, packed):
    for cut in (len(packed) - 4, len(packed) // 2):
        with pytest.raises(BadFileError, match=r"truncated|damaged"):
            read(folder, packed[:cut])


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(CSV * 999),
        bz2.compress(CSV * 999),
        pa.compress(bytes(range(256)) * 9, "zstd", asbytes=True)[:9],  # a frame of no checksum: only its shape can tell
        zipped(a=CSV * 999),
    ],
    ids=["gzip", "bzip2", "zstd", "zip"],
)
def test_a_damaged_archive_is_refused(folder, packed):
    middle = len(packed) // 2
    broken = packed[:middle] + bytes(byte ^ 0xFF for byte in packed[middle : middle + 8]) + packed[middle + 8 :]
    with pytest.raises(BadFileError, match="compression"):
        read(folder, broken)


def test_a_bomb_is_refused_before_it_fills_the_disk(tmp_path):
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(b"\0" * (8 << 20)))
    with pytest.raises(BadFileError, match="decompression bomb"):
        opened(path, tmp_path, Limits(max_ratio=100, ratio_from_bytes=1 << 20))
    with pytest.raises(BadFileError, match="more than 1,000,000 bytes"):
        opened(path, tmp_path, Limits(max_bytes=1_000_000))
    assert sum(file.stat().st_size for file in tmp_path.glob("unpacked*")) <= 2 << 20


def test_members_of_a_zip_are_parts_of_one_file(folder):
    found, rows = read(folder, zipped(**{"a.csv": CSV, "b.csv": b"name,id,more\nDee,4,x\nEd,5,y\n"}))
    assert [(row["_row_number"], row["id"], row["name"], row["more"]) for row in rows] == [
        (1, "1", "Ann", None),
        (2, "2", "Bob", None),
        (3, "3", "Cy", None),
        (4, "4", "Dee", "x"),
        (5, "5", "Ed", "y"),
    ]
    assert found.account.lines == 7
    assert found.account.rows == 5
    assert found.account.header == 2


def test_members_of_different_formats_are_refused_by_name(folder):
    with pytest.raises(BadFileError, match=r"a\.csv: csv, b\.json: ndjson"):
        read(folder, zipped(**{"a.csv": CSV, "b.json": b'{"a":1}\n{"a":2}\n'}))


def test_an_encrypted_zip_is_refused(folder):
    data = bytearray(zipped(a=CSV))
    data[6] |= 1
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(BadFileError, match="encrypted"):
        read(folder, bytes(data))


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"%PDF-1.7 x", "PDF"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"7z\xbc\xaf\x27\x1c", "7-Zip"),
        (bytes(range(256)) * 9, "not text"),
    ],
)
def test_what_holds_no_table_is_refused_by_its_name(folder, data, what):
    with pytest.raises(BadFileError, match=what):
        read(folder, data)


# NDJSON and JSON

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=6
)
keys = st.text(min_size=1).filter(lambda key: not key.startswith("_"))
records_of_any_kind = st.one_of(
    st.lists(st.dictionaries(keys, values, max_size=4), min_size=1, max_size=5),
    st.lists(st.dictionaries(keys, scalars, max_size=4), min_size=1, max_size=5),
    st.lists(st.fixed_dictionaries({"a": st.integers(), "b": st.text(), "c": st.booleans()}), min_size=1, max_size=5),
)


def as_text(value: object, raw: str) -> str | None:
    if value is None:
        return None
    return value if isinstance(value, str) else raw


def dumped(value: object, ascii_only: bool) -> str:
    return json.dumps(value, ensure_ascii=ascii_only).replace("\u2028", "\\u2028")


@settings(max_examples=100, deadline=None)
@given(records_of_any_kind, st.booleans(), st.sampled_from(["ndjson", "json"]))
def test_any_json_value_comes_back_as_the_text_that_stood(folder, records, ascii_only, kind):
    lines = [dumped(record, ascii_only) for record in records]
    text = "\n".join(lines) if kind == "ndjson" else "[" + ",\n".join(lines) + "]"
    found, rows = read(folder, text.encode("utf-8", "surrogatepass"), format=kind)
    expected = [{key: as_text(value, dumped(value, ascii_only)) for key, value in record.items()} for record in records]
    names = list(dict.fromkeys(key for record in records for key in record))
    assert len(found.columns) == len(names)
    assert [list(row.values()) for row in cells(rows)] == [[record.get(key) for key in names] for record in expected]
    assert found.account.balanced


def test_digits_are_kept_and_late_keys_are_not_lost(folder):
    text = '{"n": 1.10}\n{"n": 1e3}\n' + '{"n": -0}\n' * 40_000 + '{"n": 123456789012345678901234567890, "late": true}'
    found, rows = read(folder, text)
    assert found.columns == ("n", "late")
    assert [rows[i]["n"] for i in (0, 1, 2, -1)] == ["1.10", "1e3", "-0", "123456789012345678901234567890"]
    assert rows[-1]["late"] == "true"
    assert rows[-1]["_row_number"] == len(rows) == found.account.rows == 40_003


def test_a_nested_value_is_kept_verbatim(folder):
    _, rows = read(folder, '{"a": {"x": [1.0,  {"y":null}]}, "b": [ ]}\n{"a": 1}\n')
    assert rows[0]["a"] == '{"x": [1.0,  {"y":null}]}'
    assert rows[0]["b"] == "[ ]"


def test_a_line_that_is_no_object_is_rescued_with_its_number(folder):
    found, rows = read(folder, '{"a":1}\n\n{"a":\r\n[1]\n{"a":2} x\n{"a":3}')
    assert [row["a"] for row in rows] == ["1", None, None, None, "3"]
    assert [(n["line"], n["raw"]) for n in rescued(rows)] == [(3, '{"a":'), (4, "[1]"), (5, '{"a":2} x')]
    assert found.account.balanced
    assert (found.account.blank, found.account.rescued, found.account.rows) == (1, 3, 2)


def test_a_broken_first_line_and_commas_between_lines_do_no_harm(folder):
    _, rows = read(folder, '{broken\n{"a":1},\n{"a":2}\n')
    assert [row["a"] for row in rows] == [None, "1", "2"]


def test_of_a_key_that_comes_twice_the_last_value_stands(folder):
    _, rows = read(folder, '{"a" :1,"b":"x:y","a":2}\n{"a":3}\n')
    assert [row["a"] for row in rows] == ["2", "3"]
    assert rescued(rows)[0]["raw"] == '"a" :1'


def test_half_a_surrogate_pair_stays_escaped(folder):
    _, rows = read(folder, '{"a":"x\\ud800"}\n{"a":"\\ud83d\\ude00"}\n')
    assert [row["a"] for row in rows] == ["x\\ud800", "😀"]
    assert rescued(rows)[0]["raw"] == '"a":"x\\ud800"'


def test_names_of_ours_and_empty_ones_are_renamed(folder):
    found, rows = read(folder, '{"_rescued":"r","":1}\n')
    assert found.columns == ("_rescued_2", "column_2")
    assert rows[0]["_rescued_2"] == "r"


def test_keys_beyond_the_limit_are_rescued(folder):
    found, rows = read(folder, '{"a":1,"b":2,"c":3}\n{"a":4}\n', max_columns=2)
    assert found.columns == ("a", "b")
    assert rescued(rows)[0]["raw"] == "c: 3"


@pytest.mark.parametrize("cut", [5, 15, 22, 30, 38])
def test_of_a_truncated_array_what_parses_is_kept_and_the_rest_is_rescued(folder, cut):
    text = '[{"a": "x"}, {"a": [1, 2]},\n {"a": "long"}]'
    _, rows = read(folder, text[:cut], format="json")
    whole = sum(text[:cut].count(end) for end in ('"x"}', "2]}", 'long"}'))
    assert len(cells(rows)) == whole
    assert rescued(rows)[-1]["raw"] in text[:cut]
    assert text[:cut].endswith(str(rescued(rows)[-1]["raw"]))


def test_an_array_inside_an_object_is_found_or_pinned(folder):
    text = '{"next": null, "data": [{"a": 1}, {"a": 2}], "n": {"x": [{"b": 1}]}}'
    found, rows = read(folder, text)
    assert [row["a"] for row in cells(rows)] == ["1", "2"]
    assert [note["raw"] for note in rescued(rows)] == ["null", '{"x": [{"b": 1}]}']
    assert found.as_dict()["json_path"] == "data"
    assert cells(read(folder, text, json_path="n.x")[1]) == [{"b": "1"}]
    with pytest.raises(BadFileError, match="Did you mean 'data'"):
        read(folder, text, json_path="dta")


def test_an_order_with_its_items_is_a_row_and_no_wrapper(folder):
    _, rows = read(folder, '{"id": 1, "items": [{"sku": "a"}]}\n')
    assert cells(rows) == [{"id": "1", "items": '[{"sku": "a"}]'}]


def test_pretty_printed_objects_one_after_the_other_are_rows(folder):
    _, rows = read(folder, '{\n  "a": 1\n}\n{\n  "a": 2\n}\n')
    assert [row["a"] for row in rows] == ["1", "2"]


def test_json_in_utf16_is_read(folder):
    _, rows = read(folder, '\ufeff[{"a": "é"}]'.encode("utf-16-le"))
    assert cells(rows) == [{"a": "é"}]


def test_nesting_without_end_is_rescued(folder):
    _, rows = read(folder, '{"a":1}\n{"a":' + "[" * 100_000 + "\n")
    assert len(cells(rows)) == 1
    assert "deep" in str(rescued(rows)[0]["why"])


# Parquet


def parquet(folder: Path, table: pa.Table) -> bytes:
    path = folder / f"made_{next(_numbers)}.parquet"
    pq.write_table(table, path, row_group_size=2)
    return path.read_bytes()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.none() | st.integers(-(2**63), 2**63 - 1),
            st.none() | st.floats(allow_nan=False, allow_infinity=False),
            st.none() | st.decimals(-9999, 9999, places=3),
            st.none() | st.dates(),
            st.none() | st.datetimes(),
            st.none() | st.binary(max_size=5),
            st.none() | st.text(),
            st.none() | st.lists(st.none() | st.integers(0, 9), max_size=3),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_any_parquet_value_comes_back_from_its_text(folder, rows):
    from base64 import b64decode

    types = [
        pa.int64(),
        pa.float64(),
        pa.decimal128(10, 3),
        pa.date32(),
        pa.timestamp("us"),
        pa.binary(),
        pa.string(),
        pa.list_(pa.int64()),
    ]
    table = pa.table(
        [pa.array(column, kind) for column, kind in zip(zip(*rows, strict=True), types, strict=True)],
        names=list("abcdefgh"),
    )
    back = [int, float, Decimal, dt.date.fromisoformat, dt.datetime.fromisoformat, b64decode, str, json.loads]
    found, texts = read(folder, parquet(folder, table))
    for row, text in zip(rows, cells(texts), strict=True):
        assert [None if t is None else f(str(t)) for f, t in zip(back, text.values(), strict=True)] == list(row)
    assert [row["_row_number"] for row in texts] == list(range(1, len(rows) + 1))
    assert found.account.rows == len(rows)


def test_parquet_texts_are_iso_and_exact(folder):
    berlin = pa.array([dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=dt.UTC)], pa.timestamp("ns", "Europe/Berlin"))
    nested = pa.array(
        [{"d": Decimal("1.10"), "t": dt.date(2024, 1, 2), "m": [("k", 1)], "x": b"\xff", "f": 0.1}],
        pa.struct(
            [
                ("d", pa.decimal128(5, 2)),
                ("t", pa.date32()),
                ("m", pa.map_(pa.string(), pa.int8())),
                ("x", pa.binary()),
                ("f", pa.float32()),
            ]
        ),
    )
    table = pa.table(
        {
            "zone": berlin,
            "flag": [True],
            "small": pa.array([0.1], pa.float32()),
            "nested": nested,
            "none": pa.nulls(1),
            "time": [dt.time(1, 2, 3)],
        }
    )
    _, rows = read(folder, parquet(folder, table))
    assert cells(rows) == [
        {
            "zone": "2024-01-02T04:04:05+01:00",
            "flag": "true",
            "small": "0.1",
            "nested": '{"d":"1.10","t":"2024-01-02","m":{"k":1},"x":"/w==","f":0.1}',
            "none": None,
            "time": "01:02:03",
        }
    ]


def test_a_truncated_parquet_file_is_refused(folder):
    data = parquet(folder, pa.table({"a": [1, 2, 3]}))
    for broken in (data[:-10], data[:60], data[:-6] + b"\xff\xff" + data[-4:]):
        with pytest.raises(BadFileError, match="Parquet"):
            read(folder, broken)


# Excel

SALES: list[list[Cell]] = [
    [],
    [None, None, "Sales of January"],
    [],
    [None, None, "id", "name", "when", "paid", "amount", "share"],
    [None, None, 1, "007", dt.date(2024, 1, 2), True, 1200.5, "#DIV/0!"],
    [None, None, 2, "a\nb & <c>", dt.datetime(2024, 1, 2, 13, 30), False, 7, 0.1],  # noqa: DTZ001 -- Excel has no zones
    [None, None, 3, None, dt.date(2024, 1, 4), True, 1e21, 0.25],
    [None, None, 4, "Ann", dt.date(2024, 1, 5), True, 4, 0.25],
]


def test_a_sheet_is_read_as_a_person_sees_it(folder):
    found, rows = read(folder, write_workbook({"Info": [], "Sales": SALES}, merged="C2:E2"))
    assert found.columns == ("id", "name", "when", "paid", "amount", "share")
    assert [tuple(row.values()) for row in cells(rows)] == [
        ("1", "007", "2024-01-02", "true", "1200.5", "#DIV/0!"),
        ("2", "a\nb & <c>", "2024-01-02T13:30:00", "false", "7", "0.1"),
        ("3", None, "2024-01-04", "true", "1e+21", "0.25"),
        ("4", "Ann", "2024-01-05", "true", "4", "0.25"),
    ]
    assert rescued(rows) == [{"line": 2, "raw": "Sales of January", "why": "preamble: above the table"}]
    decided = found.as_dict()
    assert (decided["sheet"], decided["other_sheets"], decided["merged_ranges"]) == ("Sales", ["Info"], ["C2:E2"])
    assert found.account.balanced
    assert found.account.rows == 4


def test_sheet_range_and_header_row_are_obeyed(folder):
    book = write_workbook({"Info": [["x"], ["1"]], "Sales": SALES})
    assert cells(read(folder, book, sheet="Sales", range="C4:D6")[1]) == [
        {"id": "1", "name": "007"},
        {"id": "2", "name": "a\nb & <c>"},
    ]
    assert read(folder, book, sheet=2, header_row=4)[0].columns[0] == "id"
    assert read(folder, book, sheet=2, range="A5:D6", header_row=0)[0].columns == tuple(
        f"column_{i}" for i in (1, 2, 3, 4)
    )
    with pytest.raises(BadFileError, match="Did you mean 'Sales'"):
        read(folder, book, sheet="Sale")


def test_a_broken_workbook_is_refused(folder):
    book = write_workbook({"Sales": SALES})
    with pytest.raises(BadFileError, match="zip compression is damaged"):
        read(folder, book[: len(book) // 2])
    with pytest.raises(BadFileError, match="workbook is damaged"):
        read(folder, zipped(**{"[Content_Types].xml": b"<x/>", "xl/workbook.xml": b"<workbook"}))
    with pytest.raises(BadFileError, match="workbook is damaged"):
        read(folder, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600)


# Fixed width

LEDGER = "id   name        amount\n" + "".join(
    f"{i:<4} {'John Smith' if i % 2 else 'Ann':<11} {i * 1.5:>6.2f}\n" for i in range(1, 20)
)


def test_columns_of_blanks_are_found(folder):
    found, rows = read(folder, LEDGER)
    assert found.as_dict()["format"] == "fixed_width"
    assert cells(rows)[0] == {"id": "1", "name": "John Smith", "amount": "1.50"}
    assert len(cells(rows)) == found.account.rows == 19


def test_a_ruler_tells_the_columns(folder):
    header, rest = LEDGER.split("\n", 1)
    found, rows = read(folder, f"{header}\n---- ----------- ------\n{rest}")
    assert cells(rows)[1] == {"id": "2", "name": "Ann", "amount": "3.00"}
    assert found.account.comment == 1
    assert found.account.balanced


def test_lines_of_odd_length_carry_a_note(folder):
    found, rows = read(folder, LEDGER + "9    short\n10   Ann          15.00 and more\n")
    assert [(note["line"], note["raw"]) for note in rescued(rows)] == [
        (21, "9    short"),
        (22, "10   Ann          15.00 and more"),
    ]
    assert found.account.repaired == 2


def test_declared_widths_and_positions_are_obeyed(folder):
    text = "".join(f"{i:04}{'AB':<5}X{i:>5}\n" for i in range(3))
    _, rows = read(folder, text, widths=[4, 5, 1, 5], csv={"header": False})
    assert list(cells(rows)[2].values()) == ["0002", "AB", "X", "2"]
    _, rows = read(folder, text, positions=["id:1-4", "n:11-15"])
    assert cells(rows)[2] == {"id": "0002", "n": "2"}
    assert "between the columns" in str(rescued(rows)[0]["why"])


# Options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "csv", "sheet": "A"}, "`sheet` is for excel files, and this is csv"),
        ({"range": "B3"}, "write it like 'B3:F200'"),
        ({"range": "F3:B9"}, "ends before it begins"),
        ({"widths": [3, 0]}, "one character or more"),
        ({"positions": ["a:1-5", "b:4-9"]}, "overlap"),
        ({"positions": ["a:4-1"]}, "ends before it starts"),
        ({"csv": {"encoding": "utf9"}}, "'utf9' is no encoding"),
        ({"positions": ["a 1-5"]}, "like 'total:21-30'"),
        ({"widths": [1], "positions": ["a:1-5"]}, "declare one of them"),
        ({"format": "json", "csv": {"delimiter": ","}}, "`csv` is for csv or excel or fixed_width"),
        ({"shet": 1}, "Extra inputs"),
    ],
)
def test_wrong_options_say_what_to_write(options, message):
    with pytest.raises(ValidationError, match=message):
        FileOptions(**options)


def test_every_option_is_described():
    assert all(field.description for field in FileOptions.model_fields.values())


@pytest.mark.parametrize("data", [b"", b"[]", b"{}\n{}\n", parquet.__name__.encode()])
def test_files_of_next_to_nothing_are_read(folder, data):
    found, rows = read(folder, data)
    assert isinstance(found.frame(), pl.LazyFrame)
    assert found.account.balanced or not rows
