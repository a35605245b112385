"""One CSV-like file, read the fast way where that is proven right and the careful way otherwise.

The one entry for callers: `read_any(path, options)`; then `frame()` or `batches()`, and `account`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from flowforge_assets.formats.csv_account import CsvAccount
from flowforge_assets.formats.csv_detect import NO_PINS, detect
from flowforge_assets.formats.csv_fast import proven_wholly, scan_fast
from flowforge_assets.formats.csv_options import RESCUED, ROW_NUMBER, WRITTEN_AS, CsvDialect, CsvOptions
from flowforge_assets.formats.csv_proof import never
from flowforge_assets.formats.csv_source import Source
from flowforge_assets.formats.file_read import lazy_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from flowforge_assets.formats.file_read import Decided


@dataclass(slots=True)
class CsvRead:
    """A file and how it is written. `account` is filled by `batches()`, and by `counted()` after a fast read.

    `guise`: what the landed file was, where `path` is what `csv_guise` made of it.
    """

    path: Path
    dialect: CsvDialect
    options: CsvOptions = NO_PINS
    account: CsvAccount = field(default_factory=CsvAccount)
    guise: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the file's own columns."""
        return self.dialect.columns

    @property
    def clean(self) -> bool:
        """Whether Polars reads the file by itself; `account` is then filled by `counted(rows)`.

        Of a large file that is `unproven` it is what its beginning promises.
        """
        return self.dialect.clean

    @property
    def unproven(self) -> bool:
        """Whether only the beginning of the file was looked at."""
        return self.dialect.unproven

    def looked_through(self, stop: Callable[[], bool] = never) -> CsvDialect:
        """Return the dialect with what the whole file proves; nothing is changed here, so that a thread may ask."""
        return proven_wholly(Source(self.path), self.dialect, stop)

    def distrust(self) -> None:
        """Read it the careful way: what was proven clean is not to Polars' mind.

        Its dialect may be that of a file before it, which says nothing of how to repair this one: it is decided anew.
        """
        self.dialect = replace(detect(self.path, pinned=self.options), clean=False, unproven=False)

    def frame(self) -> pl.LazyFrame:
        """Return the rows lazily: `_row_number`, the columns as text, `_rescued`; streamed, by the fastest right way."""
        if self.unproven:
            self.dialect = self.looked_through()
        return self.frame_in_trust() if self.clean else lazy_frame(self.batches, self.columns)

    def frame_in_trust(self) -> pl.LazyFrame:
        """Return the rows of a clean file as Polars reads them; while it is unproven they may be wrong."""
        return scan_fast(self.path, self.dialect).with_columns(
            pl.col(ROW_NUMBER).cast(pl.Int64), pl.lit(None, pl.String).alias(RESCUED)
        )

    def batches(self, *, batch_rows: int | None = None) -> Iterator[pa.RecordBatch]:
        """Yield any file's rows in bounded memory, the careful way."""
        # Imported here: files that prove clean, the usual ones, never need it, and it costs 60 ms.
        from flowforge_assets.formats.csv_robust import BATCH_ROWS, read_csv_robust

        read = read_csv_robust(self.path, self.dialect, batch_rows=batch_rows or BATCH_ROWS)
        yield from read
        self.account = read.account

    def as_dict(self) -> Decided:
        """Return what was decided."""
        return {"format": "csv", **self.dialect.as_dict(), **({WRITTEN_AS: self.guise} if self.guise else {})}

    def counted(self, rows: int, continuation: int = 0) -> CsvAccount:  # noqa: ARG002 -- the face; counted in the bytes
        """Fill the account of a fast read: rows as they were read, lines as they were counted in the bytes."""
        dialect = self.dialect
        self.account = CsvAccount(
            lines=dialect.lines, rows=rows, continuation=dialect.continuation, header=dialect.header_lines
        )
        return self.account


def read_any(path: str | Path, options: CsvOptions = NO_PINS) -> CsvRead:
    """Detect how a file is written and return what reads it."""
    path = Path(path)
    return CsvRead(path, detect(path, pinned=options), options)
