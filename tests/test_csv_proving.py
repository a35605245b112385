"""Large files are written while they are still being proven: what was promised wrongly never stays, whoever fails first."""

from __future__ import annotations

import errno
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from flowforge_assets.formats import csv_fast, csv_proof
from flowforge_assets.formats.csv_proving import Proving
from flowforge_assets.formats.csv_read import CsvRead, read_any
from flowforge_assets.formats.file_options import FileOptions
from flowforge_assets.table_spec import Column, TableSpec
from flowforge_assets.transforms import bronze_parquet, small_files
from flowforge_assets.transforms.ingest import Ingested, LandedFile, ingest
from flowforge_resources.content_hash import hash_of
from flowforge_resources.layout import TableId

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Sequence

    from flowforge_assets.formats.csv_options import CsvDialect
    from flowforge_assets.transforms.bronze_rows import BronzeSource

AT = datetime(2026, 1, 1, tzinfo=UTC)
SPEC = TableSpec(TableId("shop", "items"), "*", FileOptions(), (Column(name="id"),), ("id",), (), "items_key")
ROWS = 16_000  # more than detection looks at
BODY = "".join(f"{n},label {n},2026-01-{n % 28 + 1:02}\n" for n in range(ROWS))
CLEAN = ("id,label,day\n" + BODY).encode()
PATIENCE_S = 20

# What stands in the last hundredth of a file whose beginning promises that Polars reads it.
LATE = {
    "a cell too few": b"1,x\n",
    "a cell too many": b"1,x,y,z\n",
    "one too many, then one too few": b"1,x,y,z\n1,x\n",
    "an odd quote": b'1,x "y" z,2026-01-01\n',
    "a quote that never closes": b'1,"x,2026-01-01\n',
    "the first quoted cell": b'1,"x, ""y""\nz",2026-01-01\n',
    "the header again": b"id,label,day\n",
    "another encoding": "1,größe,2026-01-01\n".encode("cp1252"),
    "another line end": b"1,x,2026-01-01\r\n",
    "a blank line": b"\n",
    "nothing odd": b"",
}


@pytest.fixture(autouse=True)
def a_large_file_is_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_fast, "AT_ONCE_BYTES", 300_000)
    monkeypatch.setattr(csv_fast, "BEGINNING_BYTES", 20_000)
    monkeypatch.setattr(csv_proof, "CHUNK_BYTES", 8_000)
    monkeypatch.setattr(small_files, "SMALL_BYTES", 0)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> object:
    yield
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("csv-proof")] == []


def landed(folder: Path, name: str, content: bytes) -> LandedFile:
    path = folder / name
    path.write_bytes(content)
    return LandedFile(name, path)


def taken(files: list[LandedFile], folder: Path) -> tuple[Ingested, pl.DataFrame]:
    folder.mkdir()
    done = ingest(files, SPEC, AT, folder / "bronze.parquet")
    assert [path.name for path in folder.iterdir() if path.is_file()] == ["bronze.parquet"]
    return done, pl.read_parquet(folder / "bronze.parquet")


@pytest.mark.parametrize("late", list(LATE))
def test_what_shows_late_in_a_file_leaves_what_it_leaves_in_one_that_is_proven_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: str
) -> None:
    spoiled = CLEAN + LATE[late] + b"9,last,2026-01-01\n"
    files = [landed(tmp_path, "a.csv", CLEAN), landed(tmp_path, "b.csv", spoiled)]
    assert read_any(files[1].path).unproven
    assert read_any(files[1].path).clean
    meanwhile = taken(files, tmp_path / "meanwhile")
    monkeypatch.setattr(csv_fast, "AT_ONCE_BYTES", 1 << 30)
    at_once = taken(files, tmp_path / "at-once")
    assert meanwhile[1].equals(at_once[1])
    for name in ("rows", "accounts", "headers", "decided", "unknown", "columns"):
        assert getattr(meanwhile[0], name) == getattr(at_once[0], name)
    assert meanwhile[0].content_hashes == {file.key: hash_of(file.path) for file in files}
    assert meanwhile[0].unexplained == []


def test_the_rows_of_an_unproven_file_are_proven_before_anybody_else_reads_them(tmp_path: Path) -> None:
    file = landed(tmp_path, "a.csv", CLEAN + b'1,"x,2026-01-01\n')
    read = read_any(file.path)
    assert read.unproven
    assert read.frame().collect().height > ROWS
    assert not read.clean
    assert not read.unproven


@pytest.fixture
def writings(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The targets of all writings so far."""
    targets: list[Path] = []
    write = bronze_parquet._write

    def noted(sources: Sequence[BronzeSource], ingested_at: datetime, target: io.FileIO) -> None:
        targets.append(Path(str(target.name)))
        write(sources, ingested_at, target)

    monkeypatch.setattr(bronze_parquet, "_write", noted)
    return targets


def test_a_proof_that_fails_while_rows_are_written_ends_the_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writings: list[Path]
) -> None:
    ended, said = threading.Event(), list[str]()
    end, write = bronze_parquet.end_writing, bronze_parquet._write

    def noted(file: io.FileIO) -> None:
        end(file)
        ended.set()

    def waiting(sources: Sequence[BronzeSource], ingested_at: datetime, target: io.FileIO) -> None:
        assert ended.wait(PATIENCE_S)
        try:
            write(sources, ingested_at, target)
        except pl.exceptions.PolarsError as error:
            said.append(str(error))
            raise

    monkeypatch.setattr(bronze_parquet, "end_writing", noted)
    monkeypatch.setattr(bronze_parquet, "_write", waiting)
    done, frame = taken([landed(tmp_path, "a.csv", CLEAN + b"1,x\n")], tmp_path / "out")
    assert len(writings) == 2
    assert [f"os error {errno.EFBIG}" in one for one in said] == [True]
    assert frame.height == done.rows["a.csv"] == ROWS + 1
    assert done.noted_rows == 1
    assert done.unexplained == []


def test_writing_that_is_ended_fails_for_every_copy_of_the_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("wb", buffering=0) as file:
        copy = os.dup(file.fileno())
        os.write(copy, b"abc")
        bronze_parquet.end_writing(file)
        with pytest.raises(OSError, match=r".") as raised:
            os.write(copy, b"d")
        os.close(copy)
    assert raised.value.errno == errno.EFBIG
    assert path.read_bytes() == b"abc"


def test_a_proof_that_fails_after_all_was_written_undoes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writings: list[Path]
) -> None:
    written = threading.Event()
    look, settled = CsvRead.looked_through, Proving.settled

    def late(read: CsvRead, *stop: Callable[[], bool]) -> CsvDialect:
        assert written.wait(PATIENCE_S)
        return look(read, *stop)

    def after(proving: Proving) -> bool:
        written.set()
        return settled(proving)

    monkeypatch.setattr(CsvRead, "looked_through", late)
    monkeypatch.setattr(Proving, "settled", after)
    done, frame = taken([landed(tmp_path, "a.csv", CLEAN + b"id,label,day\n" + BODY.encode())], tmp_path / "out")
    assert len(writings) == 2
    assert frame["_row_number"].drop_nulls().len() == done.rows["a.csv"] == 2 * ROWS
    assert done.unexplained == []


def test_a_clean_file_is_written_once(tmp_path: Path, writings: list[Path]) -> None:
    taken([landed(tmp_path, "a.csv", CLEAN), landed(tmp_path, "b.csv", CLEAN)], tmp_path / "out")
    assert len(writings) == 1


def test_a_disk_that_is_full_ends_the_proof_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(_: CsvRead, stop: Callable[[], bool]) -> CsvDialect:
        tick = threading.Event()
        while not stop():
            tick.wait(0.001)
        raise AssertionError

    monkeypatch.setattr(CsvRead, "looked_through", endless)
    write = bronze_parquet._write
    with Path("/dev/full").open("wb", buffering=0) as full, monkeypatch.context() as context:
        context.setattr(bronze_parquet, "_write", lambda sources, at, _: write(sources, at, full))
        with pytest.raises(OSError, match="No space left") as raised:
            ingest([landed(tmp_path, "a.csv", CLEAN)], SPEC, AT, tmp_path / "bronze.parquet")
    assert raised.value.errno == errno.ENOSPC


def test_a_file_that_cannot_be_read_to_its_end_fails_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: CsvRead, stop: Callable[[], bool]) -> CsvDialect:
        raise OSError(errno.EIO, f"Input/output error ({stop()})")

    monkeypatch.setattr(CsvRead, "looked_through", broken)
    with pytest.raises(OSError, match="Input/output error"):
        ingest([landed(tmp_path, "a.csv", CLEAN)], SPEC, AT, tmp_path / "bronze.parquet")
