"""What a table is, as declared: the parsed YAML that factories and transforms work from. Holds no data logic."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from flowforge_assets.column_types.typed_column import TypedColumn
from flowforge_assets.formats.file_options import FileOptions  # noqa: TC001
from flowforge_assets.landing_options import LandingOptions
from flowforge_checks.rules import Rule  # noqa: TC001  # a dataclass field type, resolved at runtime by dataclasses
from flowforge_resources.layout import TableId  # noqa: TC001
from flowforge_resources.retention import Retention

if TYPE_CHECKING:
    from collections.abc import Sequence


# Raised when `transforms.cast.surrogate_key` changes: a table must not hold keys of two formulas.
SURROGATE_KEY_FORMULA = 1
Evolution = Literal["add_new_columns", "add_new_columns_with_type_widening", "rescue", "fail_on_new_columns", "none"]
# In every table's fingerprint, whatever was added to a column since.
_FIRST_FIELDS = ("name", "type", "formats", "source", "aliases")


class Column(TypedColumn):
    """One declared column of a silver table."""

    source: str | None = Field(default=None, description="Header of the column in the file, where it differs.")
    aliases: tuple[str, ...] = Field(default=(), description="Other headers under which files may bring the column.")
    pii: bool = Field(
        default=False,
        description="Personal data: never shown in previews, examples or errors.",
    )
    description: str | None = Field(default=None, description="What the column means; shown in the UI.")

    @property
    def header(self) -> str:
        """Name of the column in bronze."""
        return self.source or self.name

    @property
    def shape(self) -> list[object]:
        """What silver depends on. Options that came after the first tables were made count only where declared."""
        options = self.model_dump(exclude={*_FIRST_FIELDS, "description", "pii"}, exclude_defaults=True)
        first = self.model_dump(include={*_FIRST_FIELDS})
        return [first, options] if options else [first]


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
    retention: Retention = field(default_factory=Retention)

    @cached_property
    def typed_columns(self) -> list[Column]:
        """Columns whose text may fail to cast."""
        return [column for column in self.columns if column.can_break]

    @cached_property
    def sources(self) -> dict[str, str]:
        """The bronze column that each column is cast from, by the column's name."""
        return {column.name: column.header for column in self.columns}

    @cached_property
    def pii(self) -> frozenset[str]:
        """Names of the columns that hold personal data."""
        return frozenset(column.name for column in self.columns if column.pii)

    @cached_property
    def read_as(self) -> str:
        """Changes when a file may be read otherwise than before: one that could not be read deserves new attempts."""
        headers = [(column.header, column.aliases) for column in self.columns]
        return sha256(repr((headers, self.keys, self.file, self.schema_evolution)).encode()).hexdigest()[:16]

    @cached_property
    def fingerprint(self) -> str:
        """Changes when silver must be made anew from bronze: the columns, keys, order or rules changed."""
        shape: Sequence[object] = [
            [part for column in self.columns for part in column.shape],
            self.keys,
            self.sequence_by,
            (self.surrogate_key, SURROGATE_KEY_FORMULA),
            [rule.model_dump(exclude={"description", "severity"}) for rule in self.rules],
        ]
        return sha256(repr(shape).encode()).hexdigest()[:16]
