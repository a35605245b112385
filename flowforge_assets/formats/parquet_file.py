"""A Parquet file of any schema as rows of text, streamed by row groups. What text a type gives: `parquet_text`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from flowforge_assets.formats.csv_account import CsvAccount
from flowforge_assets.formats.csv_options import RESCUED, ROW_NUMBER
from flowforge_assets.formats.file_read import Decided, own_names
from flowforge_assets.formats.parquet_text import as_text, sql_word
from flowforge_resources.errors import BadFileError

if TYPE_CHECKING:
    from pathlib import Path

_OURS = "_flowforge_row"


@dataclass(slots=True)
class ParquetRead:
    """A Parquet file; its account is known from the footer."""

    path: Path
    schema: pl.Schema
    rows: int
    row_groups: int
    account: CsvAccount = field(init=False)

    def __post_init__(self) -> None:
        self.account = CsvAccount(lines=self.rows, rows=self.rows)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the file's own columns."""
        return own_names(self.schema.names())

    def frame(self) -> pl.LazyFrame:
        """Return the rows lazily; only the columns that are used are read."""
        texts = [
            as_text(name, dtype).alias(column)
            for column, (name, dtype) in zip(self.columns, self.schema.items(), strict=True)
        ]
        rows = pl.scan_parquet(self.path, glob=False, row_index_name=_OURS, row_index_offset=1)
        number = pl.col(_OURS).cast(pl.Int64).alias(ROW_NUMBER)
        return rows.select(number, *texts, pl.lit(None, pl.String).alias(RESCUED))

    def counted(self, rows: int, continuation: int = 0) -> CsvAccount:  # noqa: ARG002 -- the footer counted
        """Return the account."""
        return self.account

    def as_dict(self) -> Decided:
        """Return what was found."""
        types = [sql_word(dtype) for dtype in self.schema.dtypes()]
        return {"format": "parquet", "row_groups": self.row_groups, "columns": list(self.columns), "types": types}


def read_parquet(path: Path, *, name: str | None = None) -> ParquetRead:
    """Open a Parquet file by its footer.

    Raises:
        BadFileError: truncated, damaged, or encrypted.
    """
    import pyarrow.parquet as pq

    try:
        footer = pq.read_metadata(path)
        schema = pl.read_parquet_schema(path)
    except (pa.ArrowException, OSError, pl.exceptions.PolarsError) as error:
        raise BadFileError(
            name or path.name,
            f"it cannot be read as a Parquet file: {str(error).splitlines()[0].rstrip('.')}.",
            "Upload it again, whole and not encrypted.",
        ) from error
    return ParquetRead(path, pl.Schema(schema), footer.num_rows, footer.num_row_groups)
