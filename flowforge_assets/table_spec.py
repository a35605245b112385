"""What a table is, as declared: the parsed YAML that factories and transforms work from. Holds no data logic."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from flowforge_assets.bronze.landing_options import LandingOptions
from flowforge_assets.column_types.typed_column import TypedColumn
from flowforge_assets.extraction.any_source import AnySource  # noqa: TC001  # as Rule below
from flowforge_assets.formats.file_options import FileOptions  # noqa: TC001
from flowforge_assets.partitions.partition_by import PartitionBy  # noqa: TC001  # as Rule below
from flowforge_assets.strategies.spec import Strategy
from flowforge_checks.quarantine_limits import QuarantineLimits
from flowforge_checks.rules import Rule  # noqa: TC001  # a dataclass field type, resolved at runtime by dataclasses
from flowforge_resources.layout import TableId  # noqa: TC001
from flowforge_resources.retention import Retention

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from flowforge_assets.transforms.base import Transform
    from flowforge_assets.transforms.computing import Route
    from flowforge_assets.transforms.personal import Personal
    from flowforge_assets.transforms.reshaping import Lookup, Python
    from flowforge_resources.python_function import PythonFunction


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
        description="Personal data: never shown in previews, examples or errors, nor is what transforms make of it, but for hashes, masks, and columns that say `false`.",
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
class Routed:
    """Where the rows of a table without landing come from: the transform `at` (from 0) of another table, a `route`."""

    source: TableSpec
    at: int
    route: Route


@dataclass(frozen=True)
class TableSpec:
    """One table: where its rows come from and what its silver looks like.

    `lookups`: columns of the tables that are looked up; `histories`: of those with versions, the names of their interval.
    """

    id: TableId
    files: str
    file: FileOptions
    columns: tuple[Column, ...]
    keys: tuple[str, ...]
    sequence_by: tuple[str, ...]
    surrogate_key: str
    rules: tuple[Rule, ...] = field(default=())
    schema_evolution: Evolution = "add_new_columns"
    stop_on_new_columns: bool = False
    landing: LandingOptions = field(default_factory=LandingOptions)
    transforms: tuple[Transform, ...] = field(default=())
    landed_columns: tuple[str, ...] = ()
    lookups: Mapping[str, tuple[Column, ...]] = field(default_factory=dict)
    histories: Mapping[str, tuple[str, str, str]] = field(default_factory=dict)
    routed: Routed | None = None
    folder: Path | None = None
    partition_by: PartitionBy | None = None
    strategy: Strategy = field(default_factory=Strategy)
    retention: Retention = field(default_factory=Retention)
    quarantine: QuarantineLimits = field(default_factory=QuarantineLimits)
    source: AnySource | None = None

    @property
    def transformed(self) -> bool:
        """Whether anything but casting happens to a row between bronze and the gate."""
        return bool(self.transforms or self.routed)

    @property
    def root(self) -> TableSpec:
        """The table whose landing and bronze the rows come from: this one, unless another routes them here."""
        return self.routed.source.root if self.routed else self

    @cached_property
    def landed(self) -> tuple[Column, ...]:
        """The declared columns that come with the rows; the others are made: the first transform to name them makes them."""
        return tuple(column for column in self.columns if not self._is_made(column.name))

    def _is_made(self, column: str) -> bool:
        first = next((step for step in self.transforms if step.reads(column) or column in step.makes), None)
        return first is not None and not first.reads(column)

    @cached_property
    def landed_headers(self) -> tuple[str, ...]:
        """The columns that files are expected to have."""
        return tuple(dict.fromkeys([*(column.header for column in self.landed), *self.landed_columns]))

    @property
    def key_headers(self) -> list[str]:
        """The key's columns in bronze."""
        headers = {column.name: column.header for column in self.landed}
        return [headers.get(name, name) for name in self.keys]

    @property
    def lookups_on_the_way(self) -> list[tuple[Lookup, tuple[Column, ...]]]:
        """Every lookup a row passes, with the other table's columns."""
        return self._lookups()

    def _lookups(self, upto: int | None = None) -> list[tuple[Lookup, tuple[Column, ...]]]:
        earlier = self.routed.source._lookups(self.routed.at) if self.routed else []  # noqa: SLF001  # of this class
        steps = self.transforms[:upto]
        own = [(step, self.lookups[table]) for step in steps if (table := getattr(step, "table", None))]
        return [*earlier, *own]  # type: ignore[list-item]  # only a lookup has a table

    @property
    def tables_read(self) -> list[str]:
        """The other tables of the workflow whose silver is read, sorted: by rules and by lookups."""
        ruled = {name for rule in self.rules for name in rule.tables_read}
        return sorted(ruled | {lookup.table for lookup, _ in self.lookups_on_the_way})

    @property
    def holds_pii(self) -> bool:
        """Whether any column holds personal data, here or in the table the rows come from."""
        return bool(self.pii) or (self.routed is not None and self.routed.source.holds_pii)

    def function(self, step: Python) -> PythonFunction:
        """The function of a Python transform."""
        from pathlib import Path

        from flowforge_resources.python_function import PythonFunction

        return PythonFunction(step.function, self.folder or Path())

    @cached_property
    def typed_columns(self) -> list[Column]:
        """Columns whose text may fail to cast."""
        return [column for column in self.columns if column.can_break]

    @cached_property
    def sources(self) -> dict[str, str]:
        """The bronze column that each column comes from, by the column's name; none for a column that a transform makes."""
        if self.routed is None:
            return {column.name: column.header for column in self.landed}
        earlier = self.routed.source.sources | {name: name for name in self.routed.source.landed_columns}
        return {column.name: earlier[column.header] for column in self.landed if column.header in earlier}

    @cached_property
    def stored_columns(self) -> list[Column]:
        """Declared columns that the silver table has."""
        return [column for column in self.columns if column.name not in self.strategy.except_columns]

    @cached_property
    def replays_events(self) -> bool:
        """Whether the table is made from all that was said of a key, not from the newest row alone."""
        hidden = self.strategy.kind == "upsert" and not {*self.sequence_by}.isdisjoint(self.strategy.except_columns)
        return self.strategy.replays_events or hidden

    @cached_property
    def remembers(self) -> bool:
        """Whether something is kept beside the table. What arrives in order needs no memory."""
        return self.replays_events and bool(self.sequence_by)

    @cached_property
    def pii(self) -> frozenset[str]:
        """Names of the columns that hold personal data: those declared so, and what is made of them."""
        return self._personal.silver

    @property
    def landed_pii(self) -> frozenset[str]:
        """Headers of the landed columns that hold personal data."""
        return self._personal.landed

    @cached_property
    def _personal(self) -> Personal:
        from flowforge_assets.transforms.personal import Personal, personal

        if self.transformed:
            return personal(self)
        declared = [column for column in self.columns if column.pii]
        return Personal(frozenset(one.name for one in declared), frozenset(one.header for one in declared))

    @cached_property
    def types(self) -> dict[str, str]:
        """The YAML type of every column, by name."""
        return {column.name: column.type for column in self.columns}

    @cached_property
    def partition_key(self) -> str:
        """SQL over the table's rows for the partition a row is in."""
        if self.partition_by is None:
            raise AssertionError("a table in one piece has no partition key")
        return self.partition_by.key(self.root.id.landing, self.types)

    def moved(self, old: str, new: str) -> list[str]:
        """SQL, if any, that a row is in another partition than one of its key which holds the same values."""
        said = self.partition_by.moved(self.root.id.landing, self.types, old, new) if self.partition_by else None
        return [said] if said else []

    @cached_property
    def read_as(self) -> str:
        """Changes when a file may be read otherwise than before: one that could not be read deserves new attempts."""
        headers = [*((column.header, column.aliases) for column in self.landed), *self.landed_columns]
        return sha256(repr((headers, self.keys, self.file, self.schema_evolution)).encode()).hexdigest()[:16]

    @cached_property
    def fingerprint(self) -> str:
        """Changes when silver must be made anew from bronze: the columns, keys, order or rules changed."""
        shape: Sequence[object] = [
            [part for column in self.columns for part in column.shape],
            self.keys,
            self.sequence_by,
            (self.surrogate_key, SURROGATE_KEY_FORMULA),
            [rule.shape for rule in self.rules],
            *([self.partition_by.shape] if self.partition_by else []),
            *self.strategy.shape(),
        ]
        if self.transformed:
            shape = [*shape, self._way()]
        return sha256(repr(shape).encode()).hexdigest()[:16]

    def _way(self, upto: int | None = None) -> list[object]:
        """What the rows pass before they are judged, and what that depends on."""
        steps = [
            [*step.shape, self.function(step).source_hash] if step.transform == "python" else step.shape  # type: ignore[arg-type]  # that is one
            for step in self.transforms[:upto]
        ]
        looked_up = {name: [one.shape for one in columns] for name, columns in self.lookups.items()}
        own = [
            [one.shape for one in self.columns],
            self.landed_columns,
            steps,
            looked_up,
        ]
        return [*(self.routed.source._way(self.routed.at + 1) if self.routed else []), own]  # noqa: SLF001  # of this class
