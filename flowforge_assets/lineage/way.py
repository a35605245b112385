"""What columns are made of behind a table's transforms, and what decides there which rows are left."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flowforge_assets.column_types import Text
from flowforge_assets.lineage.edges import ColumnRef, Kind, stronger
from flowforge_assets.transforms.reshaping import CastMark, Lookup

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flowforge_assets.table_spec import Column, TableSpec
    from flowforge_assets.transforms.base import Transform

# What a value is made of, and what became of it on the way.
Sources = dict[ColumnRef, Kind]


@dataclass
class Way:
    """How far rows are: `made` has what each column is made of; `rows` what decided on rows, and how, so far."""

    made: dict[str, Sources]
    rows: dict[tuple[ColumnRef, Kind], None] = field(default_factory=dict)

    def through(self, steps: Sequence[Transform], spec: TableSpec) -> Way:
        """The way behind some of a table's transforms."""
        for step in steps:
            self._decide(step.decides(list(self.made)), "filter")
            if isinstance(step, CastMark):
                self.cast(spec.columns)
            elif isinstance(step, Lookup):
                self._look_up(step, spec)
            else:
                self._make(step)
        return self

    def _make(self, step: Transform) -> None:
        before = dict(self.made)
        for output, (inputs, does) in step.lineage(list(before)).items():
            self.made[output] = merged((before[one] for one in inputs), does)

    def cast(self, columns: Iterable[Column]) -> None:
        """Declared columns take their types: text stays what it is."""
        for column in columns:
            if not isinstance(column.kind, Text):
                self.made[column.name] = merged([self.made.get(column.name, {})], "transformation")

    def _look_up(self, step: Lookup, spec: TableSpec) -> None:
        """The values come from the other table; the keys of both say which rows belong together."""
        self._decide(step.keys, "join")
        other = f"{spec.id.workflow}.silver_{step.table}"
        self.rows |= {(ColumnRef(other, key), "join"): None for key in step.keys.values()}
        self.made |= {name: {ColumnRef(other, theirs): "identity"} for name, theirs in step.take.items()}

    def _decide(self, columns: Iterable[str], kind: Kind) -> None:
        self.rows |= {(source, kind): None for name in columns for source in self.made[name]}


def merged(several: Iterable[Sources], does: Kind) -> Sources:
    """Sources of a value made of several, of which something becomes."""
    found: Sources = {}
    for sources in several:
        for source, how in sources.items():
            kind = stronger(does, how)
            found[source] = stronger(found[source], kind) if source in found else kind
    return found


def way_to(spec: TableSpec) -> Way:
    """From bronze, or from the table that routes rows here, through all transforms: the columns in their types."""
    way = _start(spec).through(spec.transforms, spec)
    if not any(isinstance(step, CastMark) for step in spec.transforms):
        way.cast(spec.columns)
    return way


def _start(spec: TableSpec) -> Way:
    """The columns of the rows that come, by the names that silver gives them."""
    if spec.routed is None:
        bronze = ".".join(spec.id.bronze_key)
        headers = {column.name: column.header for column in spec.landed} | {name: name for name in spec.landed_columns}
        return Way({name: {ColumnRef(bronze, header): "identity"} for name, header in headers.items()})
    source = spec.routed.source
    way = _start(source).through(source.transforms[: spec.routed.at + 1], source)
    renamed = {column.name: way.made[column.header] for column in spec.landed}
    gone = {column.header for column in spec.landed}
    return Way({name: made for name, made in way.made.items() if name not in gone} | renamed, way.rows)
