"""One landed file's rows as bronze has them: its columns under their bronze names, and the audit columns.

Belongs here: what a row of bronze is. Does not: how a format is read (`formats`), how rows are written (`bronze_parquet`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from flowforge_assets.formats.csv_options import RESCUED, ROW_NUMBER
from flowforge_assets.formats.read_file import clean_csv

if TYPE_CHECKING:
    from datetime import datetime

    from flowforge_assets.formats.csv_read import CsvRead
    from flowforge_assets.formats.file_read import FileRead
    from flowforge_assets.transforms.columns import FileColumns
    from flowforge_assets.transforms.ingest import LandedFile

SOURCE_FILE, INGESTED_AT = "_source_file", "_ingested_at"
_TEXT = frozenset({"csv", "ndjson", "json", "fixed_width"})
AUDIT = (RESCUED, ROW_NUMBER, SOURCE_FILE, INGESTED_AT)


@dataclass(frozen=True)
class BronzeSource:
    """One file, how it is read, and what its columns are called in bronze."""

    file: LandedFile
    read: FileRead
    columns: FileColumns

    @property
    def clean(self) -> CsvRead | None:
        """The CSV that Polars reads by itself, if the file is one."""
        return clean_csv(self.read)

    def frame(self) -> pl.LazyFrame:
        """Return the file's own rows; those of an unproven one (`csv_proving`) in trust."""
        csv = self.clean
        return self.read.frame() if csv is None else csv.frame_in_trust()

    @property
    def content_hash(self) -> str:
        """The hash of the landed bytes where proving them clean gave it; else ''."""
        csv = self.clean
        return csv.dialect.content_hash if csv is not None and csv.path == self.file.path else ""

    @property
    def ascii_blanks(self) -> bool:
        """Whether proving the file clean showed that no blank stands in it but ASCII's."""
        csv = self.clean
        return csv is not None and csv.dialect.ascii_blanks

    @property
    def text_bytes(self) -> int | None:
        """Size of the text the rows stand in; None where the rows may be far more than the file's bytes."""
        csv = self.clean
        if csv is not None:
            return csv.path.stat().st_size
        decided = self.read.as_dict()
        plain = decided.get("compression") == "none" and decided["format"] in _TEXT
        return self.file.path.stat().st_size if plain else None

    @property
    def rescues(self) -> bool:
        """Whether any row may have something in `_rescued`."""
        return self.clean is None or self.columns.rescues


@dataclass(frozen=True)
class Audit:
    """What the audit columns of a batch hold. `source_file`, `rescued`: the type in which Polars writes them.

    The text of a constant column is copied, hashed and compressed row by row; a categorical one is written as the
    dictionary it is. Both are the same Parquet column (`bronze_parquet` sees to its schema), for 6 % less of the CPU.
    """

    ingested_at: datetime
    source_file: pl.DataType
    rescued: pl.DataType

    def frame(self, source: BronzeSource) -> pl.LazyFrame:
        """Return a file's rows with all of bronze's columns."""
        key = pl.lit(source.file.key, self.source_file)
        return self.complete(source.columns.shape(source.frame()), key.alias(SOURCE_FILE), source)

    def complete(self, rows: pl.LazyFrame, key: pl.Expr | pl.Series, source: BronzeSource) -> pl.LazyFrame:
        """Add the audit columns to rows that are shaped like a source's."""
        moment = pl.lit(self.ingested_at.replace(tzinfo=None)).cast(pl.Datetime("us"))
        rescued = pl.col(RESCUED) if source.rescues else pl.lit(None, self.rescued).alias(RESCUED)
        return rows.with_columns(key, rescued, moment.alias(INGESTED_AT))
