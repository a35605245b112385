"""Bronze rows to one Parquet file, and the count of what was written.

Belongs here: how rows are written and counted. Does not: what a row is (`bronze_rows`).
"""

from __future__ import annotations

import base64
import os
import re
from collections import Counter
from itertools import groupby
from typing import IO, TYPE_CHECKING, cast

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from flowforge_assets.formats.csv_options import ROW_NUMBER
from flowforge_assets.formats.csv_proving import Proving
from flowforge_assets.transforms.bronze_rows import AUDIT, INGESTED_AT, SOURCE_FILE, Audit
from flowforge_assets.transforms.small_files import is_small, small_files

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from flowforge_assets.transforms.bronze_rows import BronzeSource

# Polars says in words alone why the system could not write.
_FAILED_WRITE = re.compile(r"underlying IO error: .*\(os error (\d+)\)")
# Each row group of a categorical column has the names of its files once more.
_FEW_FILES = 64
# Small row groups stay in a processor's cache while they are encoded, and both cores have some to the end: of 8 columns
# a tenth less time than Polars' own 122,880 rows, and as fast to read. Each has a dictionary of its own, though: of 16
# columns, 20,000 rows take a tenth more time than 60,000, and 5 % more bytes.
_GROUP_CELLS, _FEWEST_ROWS, _MOST_ROWS = 1_200_000, 4_096, 32_768


def write_bronze(sources: Sequence[BronzeSource], ingested_at: datetime, target: Path) -> Mapping[str, int]:
    """Stream all files to one ZSTD Parquet file; return the rows of each, counted in what was written.

    Raises:
        OSError: a file cannot be read to its end, or the target not be written.
    """
    while not _written(sources, ingested_at, target):
        pass  # at most twice more: each time a file is read with less trust
    return _count(target, sources[0].file.key if len(sources) == 1 else None)


def _written(sources: Sequence[BronzeSource], ingested_at: datetime, target: Path) -> bool:
    """Write all files; False if one is not what it was taken for: it is then known better, and all have to be written anew."""
    clean = [csv for source in sources if (csv := source.clean) is not None]
    with target.open("wb", buffering=0) as file, Proving(clean, lambda: end_writing(file)) as proving:
        try:
            _write(sources, ingested_at, file)
        except pl.exceptions.PolarsError as error:
            if (failed := _FAILED_WRITE.search(str(error))) and not proving.refuted:
                raise OSError(int(failed[1]), os.strerror(int(failed[1]))) from error
            if not proving.settled():
                return False
            # What looked clean was not to Polars' mind; the careful reader takes anything.
            if not clean:
                raise
            for csv in clean:
                csv.distrust()
            return False
        return proving.settled()


def _write(sources: Sequence[BronzeSource], ingested_at: datetime, target: io.FileIO) -> None:
    frames = list(_frames(sources, _audit(sources, ingested_at)))
    whole = pl.concat(frames, how="diagonal") if len(frames) > 1 else frames[0]
    ordered = whole.select(pl.exclude(AUDIT), *AUDIT)
    names = ordered.collect_schema().names()
    ordered.sink_parquet(
        cast("IO[bytes]", target),
        compression="zstd",
        compression_level=1,
        row_group_size=min(max(_GROUP_CELLS // len(names), _FEWEST_ROWS), _MOST_ROWS),
        # Least and most of text that nobody sorted help no reader, and cost a twentieth of the writing. Of several files
        # they tell which rows are whose (`_count`).
        statistics={"min": len(sources) > 1, "max": len(sources) > 1, "null_count": True},
        metadata={"ARROW:schema": _as_text(names)},
    )


def end_writing(file: io.FileIO) -> None:
    """Let all further writing to a file fail, whoever holds a copy of its descriptor.

    Polars cannot be told to end a query; it ends by itself where writing fails. Copies share their place in the file, and
    from the greatest one on the system writes nothing (`EFBIG`). A file object of our own that refuses costs a state of
    Python's for each of the pieces it is given: 3 % of the time.
    """
    least, most = 0, (1 << 63) - 1
    while least < most:
        place = (least + most + 1) // 2
        try:
            least = file.seek(place)
        except OSError:
            most = place - 1
    file.seek(least)


def _audit(sources: Sequence[BronzeSource], ingested_at: datetime) -> Audit:
    few = len(sources) <= _FEW_FILES
    nothing_rescued = few and not any(source.rescues for source in sources)
    return Audit(
        ingested_at,
        source_file=pl.Categorical() if few else pl.String(),
        rescued=pl.Categorical() if nothing_rescued else pl.String(),
    )


def _frames(sources: Sequence[BronzeSource], audit: Audit) -> Iterator[pl.LazyFrame]:
    """Small neighbours together, each other file by itself."""
    for small, group in groupby(sources, key=is_small):
        members = list(group)
        if small and len(members) > 1:
            yield small_files(members, audit)
        else:
            yield from map(audit.frame, members)


def _as_text(names: Sequence[str]) -> str:
    """The schema that readers of Arrow take from the footer, where categorical columns are the text they hold."""
    kinds = {ROW_NUMBER: pa.int64(), INGESTED_AT: pa.timestamp("us")}
    schema = pa.schema([pa.field(name, kinds.get(name, pa.large_string())) for name in names])
    return base64.b64encode(schema.serialize()).decode()


def _count(target: Path, only: str | None) -> Mapping[str, int]:
    """Rows of each file: from the footer where a row group holds one file's rows only, else from its columns.

    `only`: the file that all rows are of, if there is but one.
    """
    counts: Counter[str] = Counter()
    with pq.ParquetFile(target) as file:
        mixed: list[int] = []
        for number in range(file.metadata.num_row_groups):
            group = file.metadata.row_group(number)
            key = _file_of_records(group, file.schema_arrow.names, only)
            if key is None:
                mixed.append(number)
            else:
                counts[key] += group.num_rows
        if mixed:
            for batch in file.iter_batches(row_groups=mixed, columns=[ROW_NUMBER, SOURCE_FILE]):
                rows = pl.DataFrame(batch).filter(pl.col(ROW_NUMBER).is_not_null())
                counts.update(dict(rows.group_by(SOURCE_FILE).len().iter_rows()))
    return counts


def _file_of_records(group: pq.RowGroupMetaData, names: Sequence[str], only: str | None) -> str | None:
    """The file that all rows of a group are records of; None where there are several, or lines that are no records."""
    number, key = (group.column(names.index(name)).statistics for name in (ROW_NUMBER, SOURCE_FILE))
    if number is None or not number.has_null_count or number.null_count:
        return None
    if only is None and key is not None and key.has_min_max and key.min == key.max:
        return str(key.min)
    return only
