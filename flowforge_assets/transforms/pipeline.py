"""A table's transforms in order, as DuckDB views on views: from the rows that landed to the view `typed` that the gate judges.

Nothing is computed until the gate asks, except that rows go through Parquet for a Python function. The same views over
empty tables are how a definition is checked (`definition_check`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from flowforge_assets.transforms.cast import AUDIT_COLUMNS, create_typed
from flowforge_assets.transforms.casting import select_cast, select_typed
from flowforge_assets.transforms.cleaning import Hash
from flowforge_assets.transforms.place import (
    FAILED,
    LANDED_BITS,
    POSITION,
    RID,
    TEXT,
    Place,
    refuse_reserved,
)
from flowforge_assets.transforms.python_rows import through_function
from flowforge_assets.transforms.reshaping import CastMark, Lookup, Python
from flowforge_assets.transforms.tally import Change, Tally
from flowforge_resources.duck import literal, quote
from flowforge_resources.errors import did_you_mean
from flowforge_resources.python_function import StepError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from flowforge_assets.table_spec import Column, TableSpec
    from flowforge_assets.transforms.base import Transform
    from flowforge_resources.scratch import Scratch


class MisplacedError(Exception):
    """A transform of a table cannot work at its place; number 0 is the table itself."""

    def __init__(self, spec: TableSpec, number: int, error: StepError) -> None:
        self.spec, self.number, self.problem, self.fix = spec, number, error.problem, error.fix
        super().__init__(f"{spec.id}, transform {number}: {error}")


@dataclass
class Pipeline:
    """The views of one table's transforms, being made.

    Args:
        connection: holds `landed`, and a view over every table that is looked up (`Lookup.relation`).
        scratch: where rows go on disk for Python functions; None to check the definition without a row.
    """

    connection: duckdb.DuckDBPyConnection
    scratch: Scratch | None = None
    tally: Tally = field(default_factory=Tally)
    _views: int = 0

    def build(self, spec: TableSpec) -> Tally:
        """Create `typed`; say what has to be counted for the books.

        Raises:
            MisplacedError: a transform cannot work.
        """
        place = self._all(spec, _multipliers(spec))
        try:
            if not any(isinstance(step, CastMark) for step in spec.transforms):
                place = self._cast(spec.columns, place)
            typed = select_typed(spec.columns, place)
        except StepError as error:
            raise MisplacedError(spec, 0, error) from error.__cause__
        create_typed(self.connection, spec, typed)
        return self.tally

    def _all(self, spec: TableSpec, multipliers: int, upto: int | None = None) -> Place:
        try:
            place = self._routed(spec, multipliers) if spec.routed else self._start(spec, multipliers)
        except StepError as error:
            raise MisplacedError(spec, 0, error) from None
        self.tally = Tally(place.view)
        for number, step in enumerate(spec.transforms[:upto], start=1):
            place = replace(place, number=number)
            try:
                place = self._through(spec, step, place)
            except StepError as error:
                raise MisplacedError(spec, number, error) from error.__cause__
        return place

    def _view(self, query: str) -> str:
        self._views += 1
        name = f"_step_{self._views}"
        kind = "TABLE" if self.scratch is None else "VIEW"
        self.connection.execute(f"CREATE {kind} {name} AS {query}")
        return name

    def _start(self, spec: TableSpec, multipliers: int) -> Place:
        """The landed columns by the names that silver gives them."""
        landed = {column.name: column.header for column in spec.landed} | {name: name for name in spec.landed_columns}
        refuse_reserved(landed)
        texts = ", ".join(f"{quote(header)} AS {quote(name)}" for name, header in landed.items())
        rid = f"{RID}::HUGEINT * {1 << LANDED_BITS}::HUGEINT AS {RID}" if multipliers else RID
        view = self._view(
            f"SELECT {rid}, {POSITION}, {texts}, {', '.join(AUDIT_COLUMNS)}, NULL::INTEGER AS {FAILED} FROM landed"
        )
        return Place(view, dict.fromkeys(landed, TEXT), 0, {}, multipliers=multipliers)

    def _routed(self, spec: TableSpec, multipliers: int) -> Place:
        """The rows that another table's `route` sends here, with that table's columns; its types, where it cast them."""
        if spec.routed is None:
            raise AssertionError("not a routed table")
        source, at = spec.routed.source, spec.routed.at
        place = self._all(source, multipliers, upto=at)
        try:
            query = spec.routed.route.select_routed(replace(place, number=at + 1))
        except StepError as error:
            raise MisplacedError(source, at + 1, error) from None
        place = replace(place, cast={}, made_by={}, typed=False).behind(self.connection, self._view(query), ())
        return self._adopt(spec, place)

    def _adopt(self, spec: TableSpec, place: Place) -> Place:
        """Give the routed columns the names that the table's silver has for them."""
        for column in spec.landed:
            if column.header not in place.types:
                raise StepError(
                    f"column '{column.name}' is '{column.header}' in the rows that come from '{spec.routed.source.id.name if spec.routed else ''}', which have no such column.{did_you_mean(column.header, place.types)}",
                    "Correct its name or `source`.",
                )
        renamed = {column.header: column.name for column in spec.landed if column.source}
        if not renamed:
            return place
        place.require_new(*(name for name in renamed.values() if name not in renamed))
        given = ", ".join(f"{quote(old)} AS {quote(name)}" for old, name in renamed.items())
        gone = ", ".join(map(quote, renamed))
        view = self._view(f"SELECT * EXCLUDE ({gone}), {given} FROM {quote(place.view)}")
        return place.behind(self.connection, view, ())

    def _through(self, spec: TableSpec, step: Transform, at: Place) -> Place:
        """The place behind a transform."""
        if self.scratch is None:
            step.check(self.connection, at)
            if isinstance(step, Python):
                spec.function(step).load()
        if isinstance(step, CastMark):
            return self._cast(spec.columns, at)
        if isinstance(step, Python) and self.scratch is not None:
            behind = self._through_python(spec, step, at)
        else:
            behind = self._view(self._query(spec, step, at))
            if step.rows != "same":
                self.tally.changes.append(Change(step.rows, behind))
        place = at.behind(self.connection, behind, step.makes)
        return replace(place, multiplier=at.multiplier + (step.rows == "exploded"))

    def _query(self, spec: TableSpec, step: Transform, at: Place) -> str:
        if isinstance(step, Lookup):
            kinds = {column.name: column.kind for column in spec.lookups[step.table]}
            return step.select_from(at, kinds, spec.histories.get(step.table))
        if isinstance(step, Hash) and self.scratch is not None and step.salt_env:
            step.require_salt()
            self.connection.execute(f"SET VARIABLE {quote(step.variable)} = {literal(step.salt)}")
        return step.select(at)

    def _cast(self, columns: Sequence[Column], at: Place) -> Place:
        query, cast = select_cast(columns, at)
        behind = replace(at, cast=cast).behind(self.connection, self._view(query), ())
        return replace(behind, made_by={}, typed=True)

    def _through_python(self, spec: TableSpec, step: Python, at: Place) -> str:
        if self.scratch is None:
            raise AssertionError("a definition is checked without rows")
        step.select(at)
        returned = through_function(
            self.connection,
            spec.function(step),
            at,
            step.added_types(),
            scratch=self.scratch,
            tell=not spec.holds_pii,
        )
        view = self._view(returned.select)
        self.tally.changes.append(Change("exploded", view, returned.dropped))
        return view


def _multipliers(spec: TableSpec, upto: int | None = None) -> int:
    """How many transforms may multiply a row on its way into a table."""
    earlier = _multipliers(spec.routed.source, spec.routed.at) if spec.routed else 0
    return earlier + sum(step.rows == "exploded" for step in spec.transforms[:upto])


def multiplies(spec: TableSpec) -> bool:
    """Whether one landed row may become several."""
    return _multipliers(spec) > 0


LANDED_OF = f"({RID} >> {LANDED_BITS})::BIGINT"
