"""The YAML of a table: where its files are, what its columns are, which rules hold, how rows are merged."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

import dagster as dg
from pydantic import Field

from flowforge_assets.bronze import build_bronze
from flowforge_assets.column_types.typed_column import TextList
from flowforge_assets.components.known import known_tables
from flowforge_assets.components.landed import LandedPart
from flowforge_assets.components.part import AsWritten, all_parts, as_written
from flowforge_assets.formats.file_options import FileOptions
from flowforge_assets.silver import build_silver
from flowforge_assets.step import AssetFace
from flowforge_assets.table_spec import Column, TableSpec
from flowforge_checks.gate import KEYS_PRESENT, TYPE
from flowforge_checks.results import BOOKS
from flowforge_checks.rules import AnyRule  # pydantic resolves it at runtime
from flowforge_resources.errors import did_you_mean
from flowforge_resources.layout import TableId
from flowforge_resources.retention import Retention

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from flowforge_assets.components.workflow import Workflow
    from flowforge_checks.rules import Rule


class Table(LandedPart):
    """A table that arrives as files and is kept as a bronze and a silver asset."""

    file: Annotated[AsWritten[FileOptions] | None, as_written(FileOptions | None)] = Field(
        default=None,
        description="How the files are written, of what is not to be found from their content: format, delimiter, sheet, …",
    )
    columns: Annotated[list[AsWritten[Column]], as_written(list[Column])] = Field(
        min_length=1, description="The columns of silver, in order."
    )
    keys: list[str] = Field(min_length=1, description="Columns that identify a row together.")
    sequence_by: list[str] = Field(
        default=[],
        description="Columns that say which of two rows of a key is newer. Default: the row that arrived later.",
    )
    null_markers: Annotated[list[str], as_written(TextList)] = Field(
        default=[],
        description="Texts that mean there is no value, in every column without `null_markers` of its own. The whole text but for blanks around it, upper and lower case told apart.",
        examples=[["NA", "n/a", "-"]],
    )
    strategy: Literal["upsert"] = Field(default="upsert", description="How a batch enters silver.")
    surrogate_key: str = Field(default="", description="Name of the surrogate key column. Default: `<table>_key`.")
    rules: Annotated[list[AsWritten[AnyRule]], as_written(list[AnyRule])] = Field(
        default=[], description="What is true of valid rows, or of the table."
    )

    history: Annotated[AsWritten[Retention] | None, as_written(Retention | None)] = Field(
        default=None,
        description="Which earlier versions are kept, e.g. `{keep_last: 10, keep_for: 30 days}`. Default: the workflow's.",
    )

    def spec(self, retention: Retention | None = None) -> TableSpec:
        """The table as factories and transforms take it; `retention` holds where the table declares none."""
        return TableSpec(
            id=TableId(self.workflow, self.name),
            files=self.files,
            file=self.file or FileOptions(),
            columns=tuple(self._with_markers(column) for column in self.columns),
            keys=tuple(self.keys),
            sequence_by=tuple(self.sequence_by),
            surrogate_key=self.surrogate_key or f"{self.name}_key",
            rules=tuple(self.rules),
            landing=self.landing_options(),
            schema_evolution=self.schema_evolution,
            retention=self.history or retention or Retention(),
        )

    def _with_markers(self, column: Column) -> Column:
        """The column with the table's null markers, where it has none of its own."""
        if not self.null_markers or column.null_markers is not None:
            return column
        return column.model_copy(update={"null_markers": tuple(self.null_markers)})

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The bronze and the silver asset with their checks."""
        tables = {part.name: part for part in all_parts(context, Table) if part.workflow == self.workflow}
        workflow = self._require_workflow(context)
        self.validate_against(tables)
        recorded = known_tables(context.component_tree).recorded
        spec, face = self.spec(workflow.history), replace(self.face(), lineage=recorded)
        bronze_face = AssetFace(owners=face.owners, tags=face.tags, lineage=recorded)
        return dg.Definitions(assets=[build_bronze(spec, bronze_face), build_silver(spec, face)])

    def _require_workflow(self, context: dg.ComponentLoadContext) -> Workflow:
        from flowforge_assets.components.workflow import Workflow

        for part in all_parts(context, Workflow):
            if part.workflow == self.workflow:
                return part
        raise self.wrong(
            "the folder has no Workflow document, so no job would run its tables.",
            "Add a document `type: flowforge_assets.components.Workflow`.",
        )

    def validate_against(self, tables: Mapping[str, Table]) -> None:
        """Check everything that needs more than one field.

        Raises:
            DefinitionError: an unknown column or table, a name that occurs twice, references in a circle.
        """
        names = [column.name for column in self.columns]
        self._refuse_doubles("column", names)
        self._refuse_doubles("rule", [KEYS_PRESENT, TYPE, BOOKS, *(rule.check_name for rule in self.rules)])
        self._require_columns("keys", self.keys, names)
        self._require_columns("sequence_by", self.sequence_by, names)
        for rule in self.rules:
            self._require_columns(f"rule {rule.check_name}", rule.columns_read, names)
            self._validate_reference(rule, tables)

    def _refuse_doubles(self, kind: str, names: Iterable[str]) -> None:
        seen: set[str] = set()
        for name in names:
            if name in seen:
                raise self.wrong(
                    f"table '{self.name}' has two {kind}s named '{name}'.",
                    f"Rename one{', e.g. with `name:`' if kind == 'rule' else ''}.",
                )
            seen.add(name)

    def _require_columns(self, part: str, wanted: Iterable[str], names: list[str]) -> None:
        for name in wanted:
            if name not in names:
                raise self.wrong(
                    f"{part} of table '{self.name}' names the column '{name}', which is not declared.{did_you_mean(name, names)}",
                    "Declare it under `columns`, or correct the name.",
                )

    def _validate_reference(self, rule: Rule, tables: Mapping[str, Table]) -> None:
        other = rule.referenced_table
        if other is None:
            return
        if other not in tables:
            raise self.wrong(
                f"rule {rule.check_name} of table '{self.name}' refers to the table '{other}', which is not in this workflow.{did_you_mean(other, tables)}",
                "Correct `table`, or declare that table.",
            )
        column = getattr(rule, "to", None) or rule.columns_read[0]
        names = [one.name for one in tables[other].columns]
        if column not in names:
            raise self.wrong(
                f"rule {rule.check_name} of table '{self.name}' looks for the column '{column}' of '{other}', which is not declared there.{did_you_mean(column, names)}",
                "Say which column with `to:`.",
            )
        path = _circle(self.name, tables)
        if path:
            raise self.wrong(
                f"the references of {' → '.join(path)} go in a circle, so none of these tables can be first.",
                "Take one of these references out.",
            )


def _circle(start: str, tables: Mapping[str, Table]) -> list[str]:
    """A way along references from a table back to itself, or nothing."""

    def walk(path: list[str]) -> list[str]:
        part = tables.get(path[-1])
        following = {rule.referenced_table for rule in part.rules if rule.referenced_table} if part else set()
        for name in sorted(following - set(path[1:])):
            if name == start:
                return [*path, name]
            if found := walk([*path, name]):
                return found
        return []

    return walk([start])
