"""Raw is raw: the cells a person wrote can be read back from bronze, whatever the dialect."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowforge_assets.formats.csv_options import CsvOptions
from flowforge_assets.formats.file_options import FileOptions
from flowforge_assets.table_spec import Column, TableSpec
from flowforge_assets.transforms.ingest import LandedFile, ingest
from flowforge_resources.layout import TableId

NAMES = ("id", "alpha", "beta")
CELL = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), include_characters="\n\"',;|\t"), max_size=12
)
ROWS = st.lists(
    st.tuples(st.integers(0, 10**9).map(lambda number: f"{number:010d}"), CELL, CELL), min_size=1, max_size=12
)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
@given(
    files=st.lists(st.tuples(ROWS, st.sampled_from(",;|\t"), st.sampled_from(("\n", "\r\n"))), min_size=1, max_size=3)
)
def test_the_cells_of_every_file_can_be_read_back_from_bronze(files: list) -> None:
    with TemporaryDirectory() as folder:
        for number, (rows, delimiter, ending) in enumerate(files):
            _require_same(Path(folder) / str(number), rows, delimiter, ending)


def _require_same(folder: Path, rows: list, delimiter: str, ending: str) -> None:
    folder.mkdir()
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=ending)
    writer.writerows([NAMES, *rows])
    file = folder / "landed.csv"
    file.write_bytes(text.getvalue().encode())
    done = ingest(
        [LandedFile("landed.csv", file)], _spec(delimiter), datetime(2026, 1, 1, tzinfo=UTC), folder / "b.parquet"
    )
    found = pl.read_parquet(folder / "b.parquet")
    assert found.select(NAMES).rows() == rows
    assert found["_row_number"].to_list() == list(range(1, len(rows) + 1))
    assert done.unexplained == []


def _spec(delimiter: str) -> TableSpec:
    """Pinned where a file of a row or two does not say: what is under test is the text of cells."""
    return TableSpec(
        id=TableId("w", "t"),
        files="*",
        file=FileOptions(
            format="csv",
            csv=CsvOptions(delimiter=delimiter, quote='"', header=True, comment="", skip_lines=0, footer_lines=0),
        ),
        columns=tuple(Column(name=name) for name in NAMES),
        keys=("id",),
        sequence_by=(),
        surrogate_key="t_key",
    )
