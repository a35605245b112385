"""Many small files as one lazy frame: a scan of its own costs a file of 10 KB more than its rows.

Neighbours that prove clean and alike are joined in memory and read at once; each other file is read by itself, in its
place. Row numbers, source files and outcomes are those of files read one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from flowforge_assets.formats.csv_fast import scan_fast
from flowforge_assets.formats.csv_options import RESCUED, ROW_NUMBER
from flowforge_assets.formats.file_read import streamed
from flowforge_assets.transforms.bronze_rows import INGESTED_AT, SOURCE_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowforge_assets.formats.csv_options import CsvDialect
    from flowforge_assets.formats.csv_read import CsvRead
    from flowforge_assets.transforms.bronze_rows import Audit, BronzeSource

SMALL_BYTES, TOGETHER_BYTES = 1 << 20, 4 << 20


def is_small(source: BronzeSource) -> bool:
    """Whether a file is rather read with its neighbours."""
    size = source.text_bytes
    return size is not None and size <= SMALL_BYTES


def small_files(sources: Sequence[BronzeSource], audit: Audit) -> pl.LazyFrame:
    """Return the rows of small files in their order, streamed."""
    names = dict.fromkeys(name for source in sources for name in source.columns.names.values())
    kinds = {RESCUED: audit.rescued, ROW_NUMBER: pl.Int64(), SOURCE_FILE: audit.source_file}
    schema = pl.Schema({**dict.fromkeys(names, pl.String()), **kinds, INGESTED_AT: pl.Datetime("us")})

    def frames() -> Iterator[pl.DataFrame]:
        for group in _groups(sources):
            for frame in _read(group, audit):
                missing = [pl.lit(None, pl.String).alias(name) for name in names if name not in frame.columns]
                yield frame.with_columns(missing).select(schema.names())

    return streamed(frames, schema)


def _groups(sources: Sequence[BronzeSource]) -> Iterator[list[BronzeSource]]:
    """Cut into runs of files that can be read at once, of bounded size."""
    group: list[BronzeSource] = []
    size = 0
    for source in sources:
        size += source.text_bytes or 0
        if group and (size > TOGETHER_BYTES or not _alike(group[-1], source)):
            yield group
            group, size = [], source.text_bytes or 0
        group.append(source)
    yield group


def _alike(one: BronzeSource, other: BronzeSource) -> bool:
    first, second = one.clean, other.clean
    if first is None or second is None or one.columns != other.columns:
        return False
    return _reading(first.dialect) == _reading(second.dialect)


def _reading(dialect: CsvDialect) -> tuple[object, ...]:
    return dialect.columns, dialect.delimiter, dialect.quote, dialect.terminator, dialect.null, dialect.unquoted


def _read(group: Sequence[BronzeSource], audit: Audit) -> Iterator[pl.DataFrame]:
    frame = _together(group, audit) if len(group) > 1 else None
    if frame is not None:
        yield frame
        return
    for source in group:
        yield _alone(source, audit)


def _alone(source: BronzeSource, audit: Audit) -> pl.DataFrame:
    """Read one file; what looked clean and is not to Polars' mind goes to the careful reader."""
    csv = source.clean
    if csv is None:
        return audit.frame(source).collect()
    try:
        return audit.frame(source).collect()
    except pl.exceptions.PolarsError:
        csv.distrust()
    return audit.frame(source).cast({RESCUED: audit.rescued}).collect()


def _together(group: Sequence[BronzeSource], audit: Audit) -> pl.DataFrame | None:
    """Read clean files of one kind at once; None if that gives other rows than were counted."""
    clean = [csv for source in group if (csv := source.clean) is not None]
    counts = np.array([csv.dialect.records for csv in clean])
    dialect = clean[0].dialect
    text = b"".join(map(_body, clean))
    try:
        rows = scan_fast(text, dialect, header_lines=0).collect() if text else None
    except pl.exceptions.PolarsError:
        return None
    if rows is None or rows.height != counts.sum():
        return None
    keys = pl.Series([source.file.key for source in group], dtype=audit.source_file)
    files = np.repeat(np.arange(len(group)), counts)
    first = np.repeat(counts.cumsum() - counts, counts)
    numbered = rows.lazy().with_columns(
        pl.Series(ROW_NUMBER, np.arange(1, len(first) + 1) - first), pl.lit(None, pl.String).alias(RESCUED)
    )
    shaped = group[0].columns.shape(numbered)
    return audit.complete(shaped, keys.gather(files).alias(SOURCE_FILE), group[0]).collect()


def _body(csv: CsvRead) -> bytes:
    """The lines of a clean file below its header, each with its end."""
    text = csv.path.read_bytes()[csv.dialect.bom_bytes :]
    if csv.dialect.header_lines:
        text = text.partition(b"\n")[2]
    return text if not text or text.endswith(b"\n") else text + b"\n"
