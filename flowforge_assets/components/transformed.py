"""The part of a table's YAML that says what happens to its rows before they are judged, and where they come from."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from flowforge_assets.components.landed import LandedPart
from flowforge_assets.components.merged import MergedPart
from flowforge_assets.components.part import AssetPart, AsWritten, as_written
from flowforge_assets.table_spec import Column, Routed
from flowforge_assets.transforms.computing import Route
from flowforge_assets.transforms.reshaping import AnyTransform, CastMark, Lookup
from flowforge_resources.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowforge_assets.components.table import Table
    from flowforge_assets.table_spec import TableSpec
    from flowforge_resources.errors import DefinitionError

# The strategies under which silver has one row a key; `append` with keys has the first.
_ONE_ROW_A_KEY = ("upsert", "full_refresh", "append")


class TransformedPart(MergedPart):
    """A table whose rows may pass transforms, or come from another table's `route`."""

    transforms: Annotated[list[AsWritten[AnyTransform]], as_written(list[AnyTransform])] = Field(
        default=[],
        description="What happens to the rows between bronze and the rules, in order. Columns are text up to `cast`, and have their declared types behind it.",
    )
    landed_columns: list[str] = Field(
        default=[], description="Columns of the files that transforms read and silver does not keep."
    )
    source_table: str | None = Field(
        default=None,
        description="The table whose `route` sends its rows here. Such a table has no landing and no bronze of its own.",
    )

    @property
    def steps_to_look_up(self) -> list[tuple[int, Lookup]]:
        """The lookups, with their place in the list."""
        return [(at, step) for at, step in enumerate(self.transforms) if isinstance(step, Lookup)]

    def routed(self, tables: Mapping[str, Table]) -> Routed | None:
        """Where the rows come from, of a table with `source_table`.

        Raises:
            DefinitionError: no such table, it sends nothing here, or the way goes in a circle.
        """
        if self.source_table is None:
            return None
        way = [self.name]
        while (source := tables.get(way[-1])) and source.source_table:
            if source.source_table in way:
                circle = " → ".join([*way, source.source_table])
                raise self.wrong(f"the `source_table`s of {circle} go in a circle.", "One of them must have landing.")
            way.append(source.source_table)
        source = tables.get(self.source_table)
        if source is None:
            raise self.wrong(
                f"table '{self.name}' takes its rows from '{self.source_table}', which is not in this workflow.{did_you_mean(self.source_table, tables)}",
                "Correct `source_table`, or declare that table.",
            )
        for at, step in enumerate(source.transforms):
            if isinstance(step, Route) and step.to == self.name:
                return Routed(source.spec(tables), at, step)
        others = ", ".join(f"'{step.to}'" for step in source.transforms if isinstance(step, Route))
        raise self.wrong(
            f"table '{self.name}' takes its rows from '{self.source_table}', which routes none to it{f', but to {others}' if others else ''}.",
            f"Add `- {{transform: route, where: …, to: {self.name}}}` to the transforms of '{self.source_table}'.",
        )

    def looked_up(self, tables: Mapping[str, Table]) -> dict[str, tuple[Column, ...]]:
        """The columns of every table that is looked up.

        Raises:
            DefinitionError: no such table.
        """
        for at, step in self.steps_to_look_up:
            if step.table not in tables:
                raise self._wrong_step(
                    at,
                    f"there is no table '{step.table}' in this workflow.{did_you_mean(step.table, tables)}",
                    "Correct `table`, or declare that table.",
                )
        return {step.table: _stored(tables[step.table]) for _, step in self.steps_to_look_up}

    def histories_looked_up(self, tables: Mapping[str, Table]) -> dict[str, tuple[str, str, str]]:
        """Of every table that is looked up and keeps versions: the names of their interval."""
        others = {step.table: tables[step.table] for _, step in self.steps_to_look_up}
        return {
            name: other.strategy_spec(other.columns).interval
            for name, other in others.items()
            if other.strategy == "scd2"
        }

    def validate_transforms(self, spec: TableSpec, tables: Mapping[str, Table]) -> None:
        """Check the transforms against each other, against other tables, and in DuckDB against the columns' types.

        Raises:
            DefinitionError: naming file, line and transform.
        """
        if not spec.transformed:
            if self.landed_columns:
                raise self.wrong("`landed_columns` is for transforms, and there are none.", "Remove it.")
            return
        self._refuse_landing()
        self._refuse_double_columns({column.name for column in spec.landed})
        self._refuse_second_cast()
        for at, step in self.steps_to_look_up:
            self._validate_lookup(at, step, tables[step.table])
        self._validate_routes(tables)
        self._build_on_nothing(spec, tables)

    def _build_on_nothing(self, spec: TableSpec, tables: Mapping[str, Table]) -> None:
        from flowforge_assets.transforms.definition_check import check_transforms
        from flowforge_assets.transforms.pipeline import MisplacedError

        try:
            check_transforms(spec)
        except MisplacedError as error:
            part = tables[error.spec.id.name]
            if error.number:
                raise part._wrong_step(error.number - 1, error.problem, error.fix) from error.__cause__  # noqa: SLF001  # of this class
            raise part.wrong(f"table '{part.name}': {error.problem}", error.fix) from None

    def _wrong_step(self, at: int, problem: str, fix: str) -> DefinitionError:
        kind = self.transforms[at].transform
        problem = f"transform {at + 1} ({kind}) of table '{self.name}': {problem}"
        return self.wrong(problem, fix, "attributes", "transforms", at)

    def _refuse_landing(self) -> None:
        if self.source_table is None:
            return
        own = (LandedPart.model_fields.keys() - AssetPart.model_fields.keys()) | {"file", "landed_columns"}
        if given := sorted(name for name in own if self._is_given(name)):
            raise self.wrong(
                f"table '{self.name}' has a `source_table`, so it has no files of its own, and `{given[0]}` says nothing.",
                "Remove it, or `source_table`.",
            )

    def _is_given(self, name: str) -> bool:
        field = type(self).model_fields[name]
        given: Any = getattr(self, name)
        return bool(given != field.get_default(call_default_factory=True))

    def _refuse_double_columns(self, landed: set[str]) -> None:
        twice = [name for name, count in Counter(self.landed_columns).items() if count > 1 or name in landed]
        if twice:
            raise self.wrong(
                f"`landed_columns` of table '{self.name}' names '{twice[0]}', which is declared or named already.",
                "Name there only what is not under `columns`.",
            )

    def _refuse_second_cast(self) -> None:
        marks = [at for at, step in enumerate(self.transforms) if isinstance(step, CastMark)]
        if len(marks) > 1:
            raise self._wrong_step(marks[1], "the columns were cast already.", "Keep one.")

    def _validate_lookup(self, at: int, step: Lookup, other: Table) -> None:
        names = [column.name for column in _stored(other)]
        for name in (*step.keys.values(), *step.take.values()):
            if name not in names:
                problem = f"table '{step.table}' has no column '{name}'.{did_you_mean(name, names)}"
                raise self._wrong_step(at, problem, "Correct the name.")
        if sorted(step.keys.values()) != sorted(other.keys):
            raise self._wrong_step(
                at,
                f"it joins on {', '.join(step.keys.values())}, and the keys of '{step.table}' are {', '.join(other.keys)}, so that several rows could match.",
                "Join on all of its keys, and nothing else.",
            )
        if step.as_of is not None and other.strategy in _ONE_ROW_A_KEY:
            raise self._wrong_step(
                at,
                f"it asks for a version by `as_of`, and '{step.table}' keeps no versions (`strategy: {other.strategy}`).",
                "Remove `as_of`, or make that table `strategy: scd2`.",
            )

    def _validate_routes(self, tables: Mapping[str, Table]) -> None:
        seen = set()
        for at, step in enumerate(self.transforms):
            if not isinstance(step, Route):
                continue
            if step.to not in tables or tables[step.to].source_table != self.name:
                near = did_you_mean(step.to, (name for name, part in tables.items() if part.source_table == self.name))
                raise self._wrong_step(
                    at,
                    f"no table '{step.to}' takes its rows from here.{near}",
                    f"Declare a Table with `name: {step.to}` and `source_table: {self.name}`.",
                )
            if step.to in seen:
                raise self._wrong_step(at, f"a route to '{step.to}' stands above.", "Join the conditions with OR.")
            seen.add(step.to)


def _stored(table: Table) -> tuple[Column, ...]:
    """The columns that a table's silver has: the declared ones, and of a table with history those of the interval."""
    stored = tuple(column for column in table.columns if column.name not in table.except_columns)
    if table.strategy != "scd2":
        return stored
    known = {column.name: column for column in table.columns}
    kind = known[table.sequence_by[0]].type if table.sequence_by and table.sequence_by[0] in known else "timestamp"
    first, end, current = table.strategy_spec(table.columns).interval
    made = ((first, kind), (end, kind), (current, "boolean"))
    return (*stored, *(Column(name=name, type=written) for name, written in made))
