"""The YAML of a reconciliation: what two layers, tables or queries must agree on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import dagster as dg
from pydantic import Field

from flowforge_assets.components.connection import unknown_connection
from flowforge_assets.components.known import known_tables
from flowforge_assets.components.part import AsWritten, Part, all_parts, as_written
from flowforge_assets.extraction.source import DatabaseRows
from flowforge_assets.model_sql.reads import read_sql
from flowforge_assets.reconciliation.reconciling import Reconciled, build_check
from flowforge_assets.reconciliation.sides import LAYERS, OfDatabase, Place, SideSpec
from flowforge_checks.reconciliation.spec import OF_ROWS, Measure, Pair, Tolerant, measures, pairs, tolerant
from flowforge_checks.reconciliation.spec import Reconciliation as Spec
from flowforge_resources.errors import DefinitionError, did_you_mean
from flowforge_resources.layout import ModelId, TableId

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowforge_assets.components.known import KnownTables

_SIDE = "A table or model by name, `workflow.table` of another workflow, or `landing.table`, `bronze.table`, `quarantine.table` of this one."


class Reconciliation(Part):
    """What two layers, tables or queries must agree on: an asset check of the right-hand one, with a history."""

    name: str = Field(description="Name; the check is `reconcile_<name>`.", pattern=r"^[a-z][a-z0-9_]*$")
    description: str | None = Field(default=None, description="Why they must agree; shown in the UI.")
    left: str | None = Field(default=None, description=f"What is right. {_SIDE}", examples=["bronze.orders"])
    left_sql: str | None = Field(
        default=None, description="A query in place of `left`, which names tables the way `left` does."
    )
    left_source: Annotated[AsWritten[DatabaseRows] | None, as_written(DatabaseRows | None)] = Field(
        default=None,
        description="A table or query of a database in place of `left`, added up there.",
        examples=[{"connection": "shop", "table": "public.orders"}],
    )
    right: str = Field(description=f"What is compared with it, whose check this is. {_SIDE}", examples=["orders"])
    right_sql: str | None = Field(default=None, description="A query in place of the rows of `right`.")
    where: str | None = Field(default=None, description="SQL condition on the rows of both sides.")
    left_where: str | None = Field(default=None, description="SQL condition on the rows of the left side alone.")
    right_where: str | None = Field(default=None, description="SQL condition on the rows of the right side alone.")
    measures: Annotated[list[AsWritten[str | Measure]], as_written(list[str | Measure])] = Field(
        default=["row_count"],
        description="What must agree: names, or `{measure: sum, column: total, tolerance: 0.01}`.",
        examples=[["row_count", {"measure": "sum", "column": "total"}]],
    )
    keys: Annotated[list[AsWritten[str | Pair]], as_written(list[str | Pair])] = Field(
        default=[], description="Columns by which `key_set` and `diff` find a row; null is a value."
    )
    compare: Annotated[list[AsWritten[str | Tolerant]], as_written(list[str | Tolerant])] = Field(
        default=[], description="Columns that `diff` compares. Default: all that both sides have."
    )
    group_by: Annotated[list[AsWritten[str | Pair]], as_written(list[str | Pair])] = Field(
        default=[],
        description="The grain: sums and counts must agree in every group, e.g. `{column: month, left: \"date_trunc('month', day)\"}`.",
    )
    tolerance: float = Field(default=0.0, ge=0, description="Difference that is let pass, of every measured value.")
    tolerance_percent: float = Field(
        default=0.0, ge=0, description="Difference that is let pass, in percent of the left value."
    )
    severity: Literal["warn", "error"] = Field(default="error", description="How the check is shown when sides differ.")
    action: Literal["keep", "block"] = Field(
        default="keep",
        description="`block`: a model is not published unless it agrees, and what reads a table waits until it does.",
    )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The check, unless the model makes it before it is published."""
        self._require_one(context)
        known = known_tables(context.component_tree)
        found = self.reconciled(known)
        return dg.Definitions(asset_checks=[] if found.stages else [build_check(found, known.gates)])

    def asked_apart(self, known: KnownTables) -> tuple[str, str] | None:
        """The table, as `workflow/asset`, and the check that has a step of its own; None where the model asks it."""
        found = self.reconciled(known)
        return None if found.stages else ("/".join(found.judges.asset), found.check)

    def _require_one(self, context: dg.ComponentLoadContext) -> None:
        named = [part for part in all_parts(context, Reconciliation) if part.workflow == self.workflow]
        if sum(part.name == self.name for part in named) > 1:
            raise self.wrong(f"two reconciliations are named '{self.name}'.", "Rename one.")

    def reconciled(self, known: KnownTables) -> Reconciled:
        """As it is evaluated.

        Raises:
            DefinitionError: a side nobody makes, a measure without what it needs, a column that is not there.
        """
        right = self._place(self.right, known)
        if right.layer == "landing":
            raise self.wrong(
                f"reconciliation '{self.name}' has '{self.right}' on its right, and landing has no checks.",
                "Swap the sides.",
            )
        if [self.left, self.left_sql, self.left_source].count(None) != 2:  # noqa: PLR2004
            problem = f"reconciliation '{self.name}' needs `left`, `left_sql` or `left_source`, and one of them."
            raise self.wrong(problem, "")
        left_side = (
            self._of_source(self.left_source, known)
            if self.left_source
            else self._side(self.left, self.left_sql, known)
        )
        right_side = self._side(None if self.right_sql else self.right, self.right_sql, known)
        spec = self._spec([left_side, right_side], known)
        found = Reconciled(spec, left_side, right_side, right, self.description)
        self._require_columns(found, known)
        return found

    def _spec(self, sides: Sequence[SideSpec], known: KnownTables) -> Spec:
        try:
            asked = measures(self.measures)
            if any(one.measure in OF_ROWS for one in asked) and not self.keys:
                raise ValueError("`key_set` and `diff` find rows by `keys`; declare them")  # noqa: TRY301  # told alike
        except ValueError as error:
            raise self.wrong(f"reconciliation '{self.name}': {_plain(error)}.", "") from None
        hidden = [known.personal(place.table) for side in sides for place in side.places.values()]
        queried = [known.personal(place.table) for side in sides if side.sql for place in side.places.values()]
        wheres = [
            " AND ".join(f"({one})" for one in (self.where, own) if one) or "TRUE"
            for own in (self.left_where, self.right_where)
        ]
        return Spec(
            workflow=self.workflow,
            name=self.name,
            measures=asked,
            keys=pairs(self.keys),
            compare=tolerant(self.compare),
            group_by=pairs(self.group_by),
            wheres=(wheres[0], wheres[1]),
            tolerance=(self.tolerance, self.tolerance_percent),
            warns=self.severity == "warn",
            blocks=self.action == "block",
            hidden=frozenset[str]().union(*hidden),
            # A query may give a personal column any name.
            hides_all=any(queried),
        )

    def _of_source(self, rows: DatabaseRows, known: KnownTables) -> SideSpec:
        connections = known.connections
        if rows.connection not in connections:
            raise unknown_connection(rows.connection, connections, self)
        found = connections[rows.connection].require_sound()
        return SideSpec({}, name=rows.name, database=OfDatabase(found, rows))

    def _side(self, name: str | None, sql: str | None, known: KnownTables) -> SideSpec:
        if sql is None:
            return SideSpec({str(name): self._place(str(name), known)}, None, str(name))
        try:
            names = read_sql(sql, self.stands_at).within(self.workflow)
        except DefinitionError as error:
            raise self.wrong(f"reconciliation '{self.name}': {error.problem}", error.fix) from None
        return SideSpec({one: self._place(one, known) for one in names}, sql)

    def _place(self, name: str, known: KnownTables) -> Place:
        layer, _, table = name.rpartition(".")
        names = known.names(self.workflow)
        if layer in LAYERS:
            found = names.get(table)
            if isinstance(found, TableId):
                return Place(found, layer, known.table_spec(found))  # type: ignore[arg-type]  # one of LAYERS
        elif name in names:
            made = names[name]
            return Place(made, "gold" if isinstance(made, ModelId) else "silver")
        offered = [
            *names,
            *(f"{one}.{known_as}" for known_as, made in names.items() if isinstance(made, TableId) for one in LAYERS),
        ]
        raise self.wrong(
            f"reconciliation '{self.name}' names '{name}', which no document makes.{did_you_mean(name, offered)}",
            "Name a table, a model or a layer.",
        )

    def _require_columns(self, found: Reconciled, known: KnownTables) -> None:
        spec = found.spec
        asked = [*spec.keys, *spec.compare, *spec.group_by, *(one for one in spec.measures if one.column)]
        for side, word in ((found.left, "left"), (found.right, "right")):
            there = self._columns(side, known)
            for pair in asked:
                written = getattr(pair, word)
                if there is not None and written is None and str(pair.column).lower() not in there:
                    raise self.wrong(
                        f"reconciliation '{self.name}' names the column '{pair.column}', which its {word} side, '{side.name}', does not have.{did_you_mean(str(pair.column), there)}",
                        f"Correct it, or say with `{word}:` what stands for it there.",
                    )

    def _columns(self, side: SideSpec, known: KnownTables) -> Mapping[str, str] | None:
        """Columns of a side in small letters; None where only a run can say."""
        place = side.places.get(side.name)
        if place is None or side.sql is not None or place.layer in LAYERS:
            return None
        found = known.columns(place.table)
        return {name.lower(): kind for name, kind in found.items()} if found is not None else None


def _plain(error: ValueError) -> str:
    """What a validator of ours said, without pydantic's frame."""
    errors = getattr(error, "errors", None)
    said = str(errors()[0]["msg"]).removeprefix("Value error, ") if errors else str(error)
    return said.rstrip(".")


def staged_reconciliations(context: dg.ComponentLoadContext, model: ModelId) -> tuple[Reconciled, ...]:
    """What a model must agree with before it is published."""
    known = known_tables(context.component_tree)
    blocking = [part for part in all_parts(context, Reconciliation) if part.action == "block"]
    found = [part.reconciled(known) for part in blocking]
    return tuple(one for one in found if one.stages and one.judges.table == model)
