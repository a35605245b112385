"""The `to` of a sink: a table of a database, files, or an HTTP endpoint, as YAML has it."""

from __future__ import annotations

import codecs
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from flowforge_assets.http_options import HttpOptions, holds_secret
from flowforge_resources.databases.references import HiddenText


class ToTable(BaseModel):
    """A table of a database."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    connection: str = Field(description="Name of a `Connection` with `read_only: false`.")
    table: str = Field(
        description="Table, with its schema where there are several. It is created if there is none; its schema is not.",
        examples=["reporting.sales"],
    )
    mode: Literal["append", "upsert", "replace"] = Field(
        default="replace",
        description="`append`: rows whose key is not there yet. `upsert`: also changes rows whose key is there. `replace`: the table is exchanged as a whole.",
    )
    keys: list[str] = Field(
        default=[],
        description="Columns, as they are delivered, that identify a row. Default: the table's; of a table without keys that is appended, the audit columns.",
    )
    delete_missing: bool = Field(
        default=False, description="With `upsert`: rows of the target whose key is not delivered any more are removed."
    )
    allow_empty: bool = Field(
        default=False,
        description="Whether a table that had rows may be replaced by none, or emptied by `delete_missing`.",
    )


class CsvOut(BaseModel):
    """How CSV files are written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    delimiter: str = Field(default=",", min_length=1, max_length=1, description="Between two values.")
    quote: str = Field(default='"', min_length=1, max_length=1, description="Around a value, where it is needed.")
    quote_all: bool = Field(default=False, description="Quotes around every value but null.")
    header: bool = Field(default=True, description="The names of the columns as the first line.")
    encoding: str = Field(default="utf-8", description="Encoding, e.g. `utf-8-sig` or `cp1252`.")
    null: str = Field(default="", description="What stands for null.")

    @field_validator("encoding")
    @classmethod
    def _known(cls, written: str) -> str:
        try:
            codecs.lookup(written)
        except LookupError:
            raise ValueError(f"Python knows no encoding '{written}'") from None
        return written


class ToFiles(BaseModel):
    """Files, on the lake or another object store."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    files: str = Field(
        description="Folder: of the lake, below `exports/`, or a URL such as s3://bucket/folder.",
        examples=["exports/sales"],
    )
    format: Literal["csv", "parquet", "excel"] = Field(default="parquet", description="Of the files.")
    partition_by: list[str] = Field(
        default=[],
        description="Columns, as they are delivered, by whose values files are cut: `column=value/part-0.…`.",
    )
    compression: Literal["none", "gzip", "zstd", "snappy"] | None = Field(
        default=None, description="Default: none for CSV, `zstd` for Parquet."
    )
    csv: CsvOut = Field(default=CsvOut(), description="Options of CSV.")
    keep_last: int = Field(default=3, ge=1, description="Versions that stay, the newest among them.")

    @model_validator(mode="after")
    def _fits(self) -> ToFiles:
        if "://" not in self.files and not self.files.startswith("exports/"):
            raise ValueError(
                f"`files: {self.files}` lies outside of `exports/`, where the lake keeps its own tables; write `exports/{self.files}`"
            )
        if "://" in self.files and holds_secret(self.files, a_user_is=False):
            raise ValueError("`files` holds a password or a key; credentials of a store are those of the environment")
        if ".." in self.files.split("/"):
            raise ValueError("`files` must not contain `..`")
        if self.format == "excel" and (self.partition_by or self.compression):
            raise ValueError("an Excel file is neither cut nor compressed; leave `partition_by` and `compression` out")
        if self.format == "csv" and self.compression == "snappy":
            raise ValueError("CSV is compressed by `gzip` or `zstd`")
        if self.format == "csv" and self.compression not in (None, "none") and self.csv.encoding.lower() != "utf-8":
            raise ValueError("compressed CSV is written in utf-8; leave `compression` or `encoding` out")
        return self


class ToEndpoint(HttpOptions):
    """An HTTP endpoint, which takes JSON arrays of rows."""

    url: HiddenText = Field(
        description="Where batches go; may be a reference.", examples=["https://crm.example.com/api/sales"]
    )
    method: Literal["POST", "PUT", "PATCH"] = Field(default="POST", description="How they are sent.")
    batch_rows: int = Field(default=500, ge=1, le=50_000, description="Rows of a batch.")
    accepted: str = Field(
        default="",
        description="Where in an answer the number of rows it took is, as keys joined by dots: it must be the number that was sent.",
    )
