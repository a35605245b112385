"""What a user may pin about a CSV-like file, and what was decided about it.

`CsvOptions` is the YAML face: every field left empty is detected. `CsvDialect` is the decision, one per file, frozen,
and shown as metadata by `as_dict()`, which holds no text of the file (a title or a footer may name a person).
Deciding lives in `csv_detect`; reading in `csv_robust` and `csv_fast`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

if TYPE_CHECKING:
    from flowforge_assets.formats.csv_kinds import ColumnProfile

Escape = Literal["double", "backslash"]
Terminator = Literal["lf", "crlf", "cr", "mixed"]
Role = Literal["header", "preamble", "comment", "blank"]

ROW_NUMBER = "_row_number"
RESCUED = "_rescued"
# What a run's metadata says of a table that did not land as CSV.
WRITTEN_AS = "written_as"
# Bronze has these of every row; a file's column of that name gets another.
OWN_COLUMNS = (ROW_NUMBER, RESCUED, "_source_file", "_ingested_at")
# So it does for what stands beside bronze's columns on the way to silver and in quarantine; a test compares.
BESIDE_THE_COLUMNS = (
    *("file_row_number", "_rid", "_position", "_m0", "_m1"),
    *("_quarantine_id", "_reasons", "_held_by_run", "_landings"),
)


class CsvOptions(BaseModel):
    """What is pinned; an empty field is decided by looking at the file's content."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    delimiter: str | None = Field(
        default=None, min_length=1, description="Text between two cells, one or more characters: ',', ';', '\\t', '||'."
    )
    quote: str | None = Field(
        default=None,
        max_length=1,
        description="Character around a cell that holds delimiters; '' if cells are never quoted.",
    )
    escape: Escape | None = Field(
        default=None, description="How a quote inside a quoted cell is written: 'double' (\"\") or 'backslash' (\\\")."
    )
    encoding: str | None = Field(
        default=None, description="Python's name of the encoding: 'utf-8', 'cp1252', 'utf-16-le'."
    )
    header: bool | int | None = Field(
        default=None, description="true, false, or how many lines the header has; several lines are joined per column."
    )
    skip_lines: int | None = Field(default=None, ge=0, description="Physical lines above the header that are no data.")
    footer_lines: int | None = Field(default=None, ge=0, description="Physical lines at the end that are no data.")
    comment: str | None = Field(default=None, description="Lines that start with this text are comments; '' for none.")
    null: tuple[str, ...] = Field(default=(), description="Cell texts that stand for null, e.g. ['NA', '\\\\N'].")
    trailing_delimiter: bool | int | None = Field(
        default=None, description="Whether each line ends in a delimiter too many, or how many too many."
    )
    header_join: str = Field(
        default=" ", description="Text between the parts of a name that stands in several header lines."
    )
    max_record_lines: int = Field(
        default=5000, ge=1, description="A quoted cell that runs over more lines is taken for an unclosed quote."
    )

    @field_validator("encoding")
    @classmethod
    def _is_encoding(cls, value: str | None) -> str | None:
        try:
            if value is not None:
                "".encode(value)
        except LookupError:
            raise ValueError(
                f"'{value}' is no encoding; write Python's name of it: utf-8, cp1252, latin-1, utf-16-le"
            ) from None
        return value


@dataclass(frozen=True, slots=True)
class CsvDialect:
    """How one file is written. `clean` means a fast standard reader gives the same rows.

    While it is `unproven`, only the file's beginning was looked at, and `clean` and `unquoted` are what it promises.

    `header_text` is the header's line where it surely is none of the rows: met again (files joined end to end) it is
    set aside. `first_line` is what a further file of the same kind begins with. `header_again` says the sample has such a line.
    `titles` are lines above the table, which a report in pages repeats. `trailing` is how many delimiters too many the lines end in. Of a clean file `lines` is its count of physical lines, `continuation` how many of them begin inside quotes,
    `unquoted` that no byte of it is a quote, `ascii_blanks` that no blank stands in it but ASCII's, and `content_hash` of its bytes, which were read to prove it.
    """

    encoding: str
    bom_bytes: int
    delimiter: str
    quote: str
    escape: Escape
    terminator: Terminator
    columns: tuple[str, ...]
    leading: tuple[Role, ...]
    footer_lines: int
    footer_bytes: int
    comment: str
    null: tuple[str, ...]
    trailing: int
    max_record_lines: int
    profiles: tuple[ColumnProfile, ...]
    first_line: str = ""
    header_text: str = ""
    header_again: bool = False
    titles: tuple[str, ...] = ()
    clean: bool = False
    unproven: bool = False
    lines: int = 0
    continuation: int = 0
    unquoted: bool = False
    ascii_blanks: bool = False
    content_hash: str = ""

    @property
    def width(self) -> int:
        """Count of columns."""
        return len(self.columns)

    @property
    def pieces(self) -> int:
        """Count of cells a regular line is split into, with the empty ones after trailing delimiters."""
        return self.width + self.trailing

    @property
    def records(self) -> int:
        """Count of a clean file's rows."""
        return self.lines - self.continuation - self.header_lines

    @property
    def header_lines(self) -> int:
        """Count of physical lines that hold column names."""
        return self.leading.count("header")

    def as_dict(self) -> dict[str, str | int | bool | list[str]]:
        """Return what was decided, for a run's metadata; no text of the file except the column names."""
        return {
            "encoding": self.encoding,
            "byte_order_mark": self.bom_bytes > 0,
            "delimiter": self.delimiter,
            "quote": self.quote,
            "escape": self.escape,
            "line_terminator": self.terminator,
            "header_lines": self.header_lines,
            "lines_above_table": len(self.leading) - self.header_lines,
            "footer_lines": self.footer_lines,
            "comment": self.comment,
            "null": list(self.null),
            "trailing_delimiters": self.trailing,
            "columns": list(self.columns),
            "clean": self.clean,
        }
