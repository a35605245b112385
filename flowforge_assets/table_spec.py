"""What a table is, as declared: the parsed YAML that factories and transforms work from. Holds no data logic."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from flowforge_assets.column_types import ColumnType, Text, parse_type
from flowforge_assets.formats.file_options import FileOptions  # noqa: TC001
from flowforge_assets.landing_options import LandingOptions
from flowforge_assets.partition_by import PartitionBy  # noqa: TC001  # as Rule below
from flowforge_checks.rules import Rule  # noqa: TC001  # a dataclass field type, resolved at runtime by dataclasses
from flowforge_resources.layout import TableId  # noqa: TC001

if TYPE_CHECKING:
    from collections.abc import Sequence


# Raised when `transforms.cast.surrogate_key` changes: a table must not hold keys of two formulas.
SURROGATE_KEY_FORMULA = 1
Evolution = Literal["add_new_columns", "add_new_columns_with_type_widening", "rescue", "fail_on_new_columns", "none"]


class Column(BaseModel):
    """One declared column of a silver table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Name of the column in silver, and in the file unless `source` says otherwise.")
    type: str = Field(
        default="text",
        description="`text`, `integer`, `decimal(p,s)`, `float`, `boolean`, `date` or `timestamp`. A value that does not cast breaks the rule `types`.",
        examples=["text", "decimal(10,2)", "date"],
    )
    formats: tuple[str, ...] = Field(
        default=(),
        description="Accepted formats of a date or timestamp, tried in order (strptime codes). Default: ISO 8601.",
        examples=[["%Y-%m-%d", "%d.%m.%Y"]],
    )
    source: str | None = Field(default=None, description="Header of the column in the file, where it differs.")
    aliases: tuple[str, ...] = Field(default=(), description="Other headers under which files may bring the column.")
    pii: bool = Field(
        default=False,
        description="Personal data: never shown in previews, examples or errors.",
    )
    description: str | None = Field(default=None, description="What the column means; shown in the UI.")

    @model_validator(mode="after")
    def _check_type(self) -> Column:
        parse_type(self.type, self.formats)
        return self

    @property
    def kind(self) -> ColumnType:
        """The parsed type."""
        return parse_type(self.type, self.formats)

    @property
    def header(self) -> str:
        """Name of the column in bronze."""
        return self.source or self.name


@dataclass(frozen=True)
class TableSpec:
    """One table: where its rows come from and what its silver looks like."""

    id: TableId
    files: str
    file: FileOptions
    columns: tuple[Column, ...]
    keys: tuple[str, ...]
    sequence_by: tuple[str, ...]
    surrogate_key: str
    rules: tuple[Rule, ...] = field(default=())
    schema_evolution: Evolution = "add_new_columns"
    landing: LandingOptions = field(default_factory=LandingOptions)
    partition_by: PartitionBy | None = None

    @cached_property
    def typed_columns(self) -> list[Column]:
        """Columns whose text may fail to cast."""
        return [column for column in self.columns if not isinstance(column.kind, Text)]

    @cached_property
    def pii(self) -> frozenset[str]:
        """Names of the columns that hold personal data."""
        return frozenset(column.name for column in self.columns if column.pii)

    @cached_property
    def types(self) -> dict[str, str]:
        """The YAML type of every column, by name."""
        return {column.name: column.type for column in self.columns}

    @cached_property
    def partition_key(self) -> str:
        """SQL over the table's rows for the partition a row is in."""
        if self.partition_by is None:
            raise AssertionError("a table in one piece has no partition key")
        return self.partition_by.key(self.id.landing, self.types)

    def moved(self, old: str, new: str) -> list[str]:
        """SQL, if any, that a row is in another partition than one of its key which holds the same values."""
        said = self.partition_by.moved(self.id.landing, self.types, old, new) if self.partition_by else None
        return [said] if said else []

    @cached_property
    def read_as(self) -> str:
        """Changes when a file may be read otherwise than before: one that could not be read deserves new attempts."""
        headers = [(column.header, column.aliases) for column in self.columns]
        return sha256(repr((headers, self.keys, self.file, self.schema_evolution)).encode()).hexdigest()[:16]

    @cached_property
    def fingerprint(self) -> str:
        """Changes when silver must be made anew from bronze: the columns, keys, order or rules changed."""
        shape: Sequence[object] = [
            [column.model_dump(exclude={"description", "pii"}) for column in self.columns],
            self.keys,
            self.sequence_by,
            (self.surrogate_key, SURROGATE_KEY_FORMULA),
            [rule.model_dump(exclude={"description", "severity"}) for rule in self.rules],
            *([self.partition_by.shape] if self.partition_by else []),
        ]
        return sha256(repr(shape).encode()).hexdigest()[:16]
