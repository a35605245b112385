"""Rows delivered as files: what is in them, what a reader sees meanwhile, and what is refused."""

from __future__ import annotations

import datetime as dt
import io
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from flowforge_resources.errors import LakeUnreachableError, SinkError
from flowforge_resources.lake import Lake
from flowforge_resources.sinks import file_formats
from flowforge_resources.sinks.file_formats import CsvText, FileFormat
from flowforge_resources.sinks.files import FileTarget, deliver_files
from sink_targets import outgoing

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_resources.sinks.delivered import Delivered

ROWS = "SELECT * FROM (VALUES ('DE', 1, 'a;\"b'), ('FR', 2, ''), (NULL, 3, NULL)) AS t (country, id, label)"
CSV, PARQUET, EXCEL = FileFormat("csv"), FileFormat("parquet"), FileFormat("excel")


def delivered(
    lake: Lake, folder: Path, rows: str = ROWS, version: str = "v1", how: FileFormat = PARQUET, **more: Any
) -> Delivered:
    target = FileTarget(more.pop("files", "exports/out"), "out", how, **more)
    with outgoing(folder, rows, version) as out:
        return deliver_files("shop/out", target, "f", out, lake)


def manifest(lake: Lake) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(lake.read("exports/out/manifest.json") or b"")["versions"]
    return found


def names(lake: Lake) -> list[str]:
    return sorted(one.key for one in lake.objects("exports/"))


def test_an_export_is_one_file_under_a_name_that_stays(any_lake: Lake, tmp_path: Path) -> None:
    first = delivered(any_lake, tmp_path)
    assert (first.rows, first.counted, first.changed) == (3, 3, True)
    read = pl.read_parquet(io.BytesIO(any_lake.read("exports/out/out.parquet") or b""))
    assert read.sort("id").rows() == [("DE", 1, 'a;"b'), ("FR", 2, ""), (None, 3, None)]
    before = names(any_lake)
    assert not delivered(any_lake, tmp_path).changed
    assert names(any_lake) == before
    for version in ("v2", "v3", "v4"):
        delivered(any_lake, tmp_path, ROWS + " WHERE id = 1", version, keep_last=2)
    assert [one["version"] for one in manifest(any_lake)] == ["v4", "v3"]
    assert len(names(any_lake)) == 4  # two versions, the name that stays, the manifest
    assert pl.read_parquet(io.BytesIO(any_lake.read("exports/out/out.parquet") or b"")).height == 1


CSVS = {
    "plain": (CsvText(), b'country,id,label\nDE,1,"a;""b"\nFR,2,""\n,3,\n'),
    "another dialect": (
        CsvText(delimiter=";", quote="'", header=False, null="NULL"),
        b"DE;1;'a;\"b'\nFR;2;\nNULL;3;NULL\n",
    ),
    "all quoted": (CsvText(quote_all=True), b'"country","id","label"\n"DE","1","a;""b"\n"FR","2",""\n,"3",\n'),
}


@pytest.mark.parametrize("case", CSVS)
def test_csv_is_written_as_declared(lake: Lake, tmp_path: Path, case: str) -> None:
    text, wanted = CSVS[case]
    delivered(lake, tmp_path, ROWS + " ORDER BY id", how=FileFormat("csv", None, text))
    assert lake.read("exports/out/out.csv") == wanted


def test_csv_in_another_encoding_has_every_character_or_is_refused(lake: Lake, tmp_path: Path) -> None:
    how = FileFormat("csv", None, CsvText(encoding="cp1252", header=False))
    delivered(lake, tmp_path, "SELECT 'Müller €' AS name", how=how)
    assert lake.read("exports/out/out.csv") == "Müller €\n".encode("cp1252")
    with pytest.raises(SinkError, match="characters that the encoding cp1252 does not have") as refused:
        delivered(lake, tmp_path, "SELECT 'Иван' AS name", "v2", how)
    assert "Иван" not in str(refused.value)
    assert [one["version"] for one in manifest(lake)] == ["v1"]


@pytest.mark.parametrize("how", [CSV, PARQUET, FileFormat("csv", "gzip")], ids=["csv", "parquet", "gzip"])
def test_an_export_is_cut_by_the_values_of_columns(lake: Lake, tmp_path: Path, how: FileFormat) -> None:
    done = delivered(lake, tmp_path, how=how, partition_by=("country",))
    assert done.counted == 3
    (version,) = manifest(lake)
    parts = [one["key"].split("/", 1)[1] for one in version["files"]]
    ending = how.ending
    assert parts == [f"country={value}/part-0{ending}" for value in ("DE", "FR", "__HIVE_DEFAULT_PARTITION__")]
    assert [one["rows"] for one in version["files"]] == [1, 1, 1]
    assert len(names(lake)) == 4


def test_excel_holds_numbers_dates_and_texts_and_no_formula(lake: Lake, tmp_path: Path) -> None:
    import python_calamine

    rows = """SELECT '=1+1' AS formula, 7 AS small, 12345678901234567 AS large, 12.50::DECIMAL(10,2) AS money,
        DATE '2026-02-28' AS day, TIMESTAMP '2026-02-28 12:30:00' AS moment, TRUE AS yes, NULL::VARCHAR AS nothing"""
    assert delivered(lake, tmp_path, rows, how=EXCEL).counted == 1
    book = python_calamine.load_workbook(io.BytesIO(lake.read("exports/out/out.xlsx") or b""))
    head, row = book.get_sheet_by_index(0).to_python()
    assert head[:3] == ["formula", "small", "large"]
    moment = dt.datetime(2026, 2, 28, 12, 30)  # noqa: DTZ001  # Excel has no zones
    assert row[:7] == ["=1+1", 7.0, "12345678901234567", float(Decimal("12.5")), moment.date(), moment, True]


def test_what_excel_cannot_hold_is_refused(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SinkError, match="1 rows hold more than 32,767 characters in `text`"):
        delivered(lake, tmp_path, "SELECT repeat('x', 40000) AS text", how=EXCEL)
    monkeypatch.setattr(file_formats, "EXCEL_ROWS", 2)
    with pytest.raises(SinkError, match="there are 3 rows of 3 columns, and an Excel sheet holds 2"):
        delivered(lake, tmp_path, how=EXCEL)
    assert names(lake) == []


def test_a_failure_in_the_middle_shows_the_last_export(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivered(lake, tmp_path, partition_by=("country",))
    publish, calls = Lake.publish, []

    def failing(self: Lake, path: Path, key: str) -> Any:
        calls.append(key)
        if len(calls) == 2:
            raise LakeUnreachableError(self.url, "publish", "gone")
        return publish(self, path, key)

    monkeypatch.setattr(Lake, "publish", failing)
    with pytest.raises(LakeUnreachableError):
        delivered(lake, tmp_path, version="v2", partition_by=("country",))
    assert [one["version"] for one in manifest(lake)] == ["v1"]
    delivered(lake, tmp_path, version="v2", partition_by=("country",))
    assert [one["version"] for one in manifest(lake)] == ["v2", "v1"]


def test_a_folder_may_be_on_another_store(lake: Lake, tmp_path: Path) -> None:
    delivered(lake, tmp_path, files=f"file://{tmp_path}/elsewhere/out")
    assert (tmp_path / "elsewhere" / "out" / "out.parquet").is_file()
    assert names(lake) == []
