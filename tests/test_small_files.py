"""Files that are read together give bronze what each would give it alone: rows, numbers, sources, accounts, hashes."""

from __future__ import annotations

import hashlib
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest

from flowforge_assets.formats.file_options import FileOptions
from flowforge_assets.table_spec import Column, TableSpec
from flowforge_assets.transforms import bronze_parquet, small_files
from flowforge_assets.transforms.ingest import Ingested, LandedFile, ingest
from flowforge_resources.content_hash import has_content, hash_of
from flowforge_resources.duck import literal
from flowforge_resources.layout import TableId
from flowforge_resources.ledger import LedgerEntry, TakenFile, read_ledger
from flowforge_resources.ledger_checkpoint import write_checkpoint
from scenario import checks, land, load, metadata, run_well

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from flowforge_resources.lake import Lake

AT = datetime(2026, 1, 1, tzinfo=UTC)
SPEC = TableSpec(TableId("shop", "items"), "*", FileOptions(), (Column(name="id"),), ("id",), (), "items_key")
AUDIT = ["_rescued", "_row_number", "_source_file", "_ingested_at"]
COUNTED = ("rows", "accounts", "content_hashes", "headers", "decided", "unknown", "columns")


def rows(first: int, count: int, line: Callable[[int], str]) -> str:
    return "".join(f"{line(number)}\n" for number in range(first, first + count))


def clean(first: int, count: int = 5) -> str:
    return "id,label,price\n" + rows(first, count, lambda n: f"{n},label {n},{n}.50")


KINDS: dict[str, Callable[[int], str | bytes]] = {
    "clean": clean,
    "without an end": lambda n: clean(n).rstrip("\n"),
    "windows": lambda n: clean(n).replace("\n", "\r\n"),
    "a mark": lambda n: b"\xef\xbb\xbf" + clean(n).encode(),
    "quoted": lambda n: "id,label,price\n" + rows(n, 5, lambda i: f'{i},"a, ""b""\nc",{i}.5'),
    "header only": lambda _: "id,label,price\n",
    "empty": lambda _: "",
    "other columns": lambda n: "price,id,colour\n" + rows(n, 5, lambda i: f"{i}.5,{i},red"),
    "other delimiter": lambda n: clean(n).replace(",", ";"),
    "damaged": lambda n: clean(n) + f'{n},"broken\n{n},too,many,cells\nshort\n',
    # As many delimiters as rows need in total: only Polars notices.
    "balanced": lambda n: clean(n) + f"{n},a,b,c\n{n},a\n",
    "latin": lambda n: clean(n).replace("label", "größe").encode("cp1252"),
    "json": lambda n: rows(n, 5, lambda i: f'{{"id": {i}, "label": "x"}}'),
}


def files_of(folder: Path, kinds: Sequence[str]) -> list[LandedFile]:
    folder.mkdir()
    files = [LandedFile(f"landing/{place:03}.csv", folder / f"{place:03}.csv") for place in range(len(kinds))]
    for place, (file, kind) in enumerate(zip(files, kinds, strict=True)):
        content = KINDS[kind](place * 100)
        file.path.write_bytes(content.encode() if isinstance(content, str) else content)
    return files


def taken(files: Sequence[LandedFile], target: Path) -> tuple[Ingested, pl.DataFrame]:
    done = ingest(files, SPEC, AT, target)
    return done, pl.read_parquet(target) if done.path else pl.DataFrame()


@pytest.mark.parametrize("together_bytes", [150, 4 << 20])
@pytest.mark.parametrize("seed", range(4))
def test_many_small_files_give_the_rows_that_each_gives_alone(
    seed: int, together_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(small_files, "TOGETHER_BYTES", together_bytes)
    rng = random.Random(seed)
    kinds = [kind for kind in rng.sample(list(KINDS), len(KINDS)) for _ in range(rng.choice([1, 1, 2, 4]))]
    files = files_of(tmp_path / "files", kinds)
    done, found = taken(files, tmp_path / "all.parquet")
    alone = [taken([file], tmp_path / f"{number}.parquet") for number, file in enumerate(files)]
    expected = pl.concat([frame for _, frame in alone if frame.width], how="diagonal")
    assert found.rows() == expected.select(found.columns).rows()
    for name in COUNTED[:-2]:
        assert getattr(done, name) == {key: said for one, _ in alone for key, said in getattr(one, name).items()}
    assert not done.unexplained


def test_a_file_that_polars_refuses_spoils_none_of_its_neighbours(tmp_path: Path) -> None:
    files = files_of(tmp_path / "files", ["clean", "balanced", "clean"])
    done, found = taken(files, tmp_path / "b.parquet")
    assert list(done.rows.values()) == [5, 7, 5]
    assert found.filter(pl.col("_rescued").is_not_null())["_source_file"].unique().to_list() == ["landing/001.csv"]
    assert not done.accounts["landing/002.csv"].repaired
    assert not done.unexplained


@pytest.mark.parametrize("kinds", [["clean"], ["clean", "quoted"], ["clean", "damaged"], ["clean"] * 70])
def test_every_reader_sees_text_however_it_was_written(kinds: list[str], tmp_path: Path) -> None:
    _, found = taken(files_of(tmp_path / "files", kinds), tmp_path / "b.parquet")
    text = ["id", "label", "price", "_rescued", "_source_file"]
    assert {found.schema[name] for name in text} == {pl.String()}
    shown = duckdb.sql(f"DESCRIBE FROM {literal(str(tmp_path / 'b.parquet'))}").fetchall()
    assert {name: kind for name, kind, *_ in shown if name in text} == dict.fromkeys(text, "VARCHAR")
    arrow = pq.read_schema(tmp_path / "b.parquet")
    assert {str(arrow.field(name).type) for name in text} == {"large_string"}
    assert found.columns[-4:] == AUDIT


def test_rows_are_counted_in_what_was_written(tmp_path: Path) -> None:
    """From the footer where a row group holds one file, from the rows where it holds several or lines that are none."""
    path = tmp_path / "b.parquet"
    numbers = [*range(1, 101), *range(1, 51), None, *range(51, 101)]
    files = ["a"] * 100 + ["b"] * 101
    pl.DataFrame({"_row_number": numbers, "_source_file": files}).write_parquet(path, row_group_size=40)
    assert bronze_parquet._count(path, None) == {"a": 100, "b": 100}


def test_rows_of_a_single_file_are_counted_without_its_names(tmp_path: Path) -> None:
    path = tmp_path / "b.parquet"
    table = pl.DataFrame({"_row_number": [*range(1, 101), None, *range(101, 131)], "_source_file": ["a"] * 131})
    table.write_parquet(path, row_group_size=40, statistics={"min": False, "max": False, "null_count": True})
    assert bronze_parquet._count(path, "a") == {"a": 130}


def test_what_an_event_says_of_its_files_is_bounded(lake: Lake, tmp_path: Path) -> None:
    yaml = """
        type: flowforge_assets.components.Workflow
        attributes: {description: A shop.}
        ---
        type: flowforge_assets.components.Table
        attributes: {name: items, columns: [{name: id}, {name: label}], keys: [id]}
    """
    land(lake, "shop", {f"items/{place:03}.csv": clean(place * 10) for place in range(120)})
    result = run_well(load(tmp_path, yaml), "shop")
    said = checks(result)["bronze_items", "schema"].description
    assert said is not None
    assert "and 117 more bring price" in said
    account = checks(result)["bronze_items", "lossless"].metadata["account"].value.records
    assert account[-1].data == dict(account[0].data) | {
        "file": "70 more files",
        "lines": 420,
        "rows": 350,
        "header": 70,
    }
    assert "and 70 more" in metadata(result, "bronze_items")["files"]
    assert metadata(result, "bronze_items")["files_ingested"] == 120


def test_a_ledger_of_an_older_version_recognises_its_files(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"id\n1\n")
    old = """{"version": 1, "committed_at": "2026-01-01T00:00:00+00:00", "run_id": "r", "bronze_file": "b", "rows": 1,
      "files": [{"key": "k", "etag": "e", "size_bytes": 5, "last_modified": "m", "rows": 1,
      "sha256": "HASH"}], "fenced": [], "left": [], "columns": ["id"], "supersedes": []}"""
    recorded = hashlib.sha256(file.read_bytes()).hexdigest()
    entry = LedgerEntry.parse(old.replace("HASH", recorded).encode(), "1.json")
    assert has_content(file, entry.files[0].content_hash)
    assert LedgerEntry.parse(entry.to_json(), "1.json") == entry
    file.write_bytes(b"id\n2\n")
    assert not has_content(file, recorded)


def test_a_checkpoint_of_an_older_version_is_read(lake: Lake) -> None:
    table = TableId("shop", "items")
    entry = LedgerEntry(1, "2026-01-01T00:00:00+00:00", "r", "b", 1, (TakenFile("k", "e", 5, "m", "ab" * 32, 1),))
    checkpoint = write_checkpoint(lake, table, None, [entry])
    with lake.scratch() as scratch:
        old = scratch.path(".parquet")
        checkpoint.records.rename({"content_hash": "sha256"}).sink_parquet(old)
        lake.publish(old, checkpoint.key)
    assert read_ledger(lake, table).ingested_hashes(pl.DataFrame({"key": ["k"]})) == {"k": "ab" * 32}


def test_the_hash_is_the_specified_one(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"")
    assert hash_of(file) == "xxh3_128:99aa06d3014798d86001c324468d497f"
    assert has_content(file, hash_of(file))
