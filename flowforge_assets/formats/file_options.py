"""What a user may pin about how landed files are written, whatever their format: the YAML face of `read_file`.

Flat, every field optional; what is not pinned is decided by content. A field of another format than the pinned one is
an error at definition time. Imports neither Polars nor Arrow: a code location loads it.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from flowforge_assets.formats.cell_range import parse_range
from flowforge_assets.formats.compression import DEFAULT_LIMITS, Limits
from flowforge_assets.formats.csv_options import CsvOptions
from flowforge_assets.formats.positions import fields_of

Format = Literal["csv", "ndjson", "json", "parquet", "excel", "fixed_width"]

MAX_COLUMNS = 5000
_OWNERS: dict[str, tuple[str, ...]] = {
    "json_path": ("json",),
    "max_columns": ("json", "ndjson"),
    "sheet": ("excel",),
    "header_row": ("excel",),
    "cell_range": ("excel",),
    "widths": ("fixed_width",),
    "positions": ("fixed_width",),
    "csv": ("csv", "excel", "fixed_width"),
}


class FileOptions(BaseModel):
    """What is pinned; an empty field is decided by looking at the file's content."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    format: Format | None = Field(
        default=None,
        description="csv (any delimited text), ndjson, json, parquet, excel or fixed_width; empty to decide by content.",
    )
    csv: CsvOptions = Field(
        default=CsvOptions(),
        description="How delimited text is written. `encoding` holds for NDJSON, JSON and fixed width too; `header`, "
        "`skip_lines`, `footer_lines` and `comment` for Excel and fixed width.",
    )
    json_path: str | None = Field(
        default=None,
        min_length=1,
        description="Keys, joined by dots, that lead to the array of rows in a JSON document: 'response.items'.",
    )
    max_columns: int = Field(
        default=MAX_COLUMNS, ge=1, description="JSON keys beyond this many go to `_rescued`, and make no columns."
    )
    sheet: str | int | None = Field(
        default=None,
        description="Name of the Excel sheet, or its number from 1; by default the first visible one with data.",
    )
    header_row: int | None = Field(
        default=None,
        ge=0,
        description="Number, as Excel shows it, of the row with the column names; 0 if there is none.",
    )
    cell_range: str | None = Field(
        default=None, alias="range", description="Cells of the Excel sheet that are read, e.g. 'B3:F200'."
    )
    widths: tuple[int, ...] = Field(
        default=(), description="Widths in characters of fixed-width columns that follow each other: [10, 25, 8]."
    )
    positions: tuple[str, ...] = Field(
        default=(),
        description="Fixed-width columns as name:start-end, counted from 1, the end included: ['id:1-10', 'total:31-40'].",
    )
    max_unpacked_bytes: int = Field(
        default=DEFAULT_LIMITS.max_bytes, ge=1, description="A compressed file that unpacks to more bytes is refused."
    )
    max_unpacked_ratio: int = Field(
        default=DEFAULT_LIMITS.max_ratio,
        ge=1,
        description="A compressed file that unpacks to more than this many times its size is refused (over 256 MB).",
    )

    @property
    def limits(self) -> Limits:
        """How far decompression may go."""
        return Limits(max_bytes=self.max_unpacked_bytes, max_ratio=self.max_unpacked_ratio)

    @property
    def implied_format(self) -> Format | None:
        """The pinned format, or the one that a pinned field belongs to alone; Excel's fields imply none for a CSV file."""
        if self.format is not None:
            return self.format
        return "fixed_width" if self.widths or self.positions else "json" if self.json_path else None

    @field_validator("cell_range")
    @classmethod
    def _is_range(cls, value: str | None) -> str | None:
        if value is not None:
            parse_range(value)
        return value

    @field_validator("widths")
    @classmethod
    def _are_positive(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(width < 1 for width in value):
            raise ValueError("each width is one character or more")
        return value

    @field_validator("positions")
    @classmethod
    def _are_columns(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        fields_of((), value)
        return value

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        if self.widths and self.positions:
            raise ValueError("`widths` and `positions` say the same; declare one of them")
        given = sorted(self.model_fields_set & _OWNERS.keys())
        for field in given:
            owners = _OWNERS[field]
            if self.implied_format and self.implied_format not in owners and not self._encoding_only(field):
                raise ValueError(
                    f"`{_shown(field)}` is for {' or '.join(owners)} files, and this is {self.implied_format}"
                )
        return self

    def _encoding_only(self, field: str) -> bool:
        """Tell whether `csv` says no more than the encoding, which JSON has too."""
        return field == "csv" and self.csv.model_fields_set <= {"encoding"}


def _shown(field: str) -> str:
    return FileOptions.model_fields[field].alias or field
