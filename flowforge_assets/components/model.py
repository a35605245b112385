"""The YAML of a gold model: its SQL file, what it means, and what must hold of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import dagster as dg
from pydantic import Field

from flowforge_assets import column_notes
from flowforge_assets.components.known import known_tables
from flowforge_assets.components.model_validation import validate_model
from flowforge_assets.components.part import AssetPart, AsWritten, as_written
from flowforge_assets.gold import build_gold
from flowforge_assets.model_spec import ForeignKey, ModelColumn, ModelSpec
from flowforge_assets.model_sql.reads import read_sql
from flowforge_checks.model_tests import as_tests
from flowforge_checks.rules import AnyRule  # pydantic resolves it at runtime
from flowforge_resources.errors import did_you_mean
from flowforge_resources.layout import ModelId

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowforge_assets.components.known import KnownTables
    from flowforge_checks.rules import Rule
    from flowforge_resources.layout import TableId


class Model(AssetPart):
    """A gold table made by a SQL query over silver and other gold tables."""

    sql: str = Field(default="", description="File of the query, beside this YAML. Default: `<model>.sql`.")
    grain: str | None = Field(
        default=None, description="What one row stands for; shown in the UI.", examples=["one order line"]
    )
    keys: list[str] = Field(default=[], description="Columns that identify a row; a blocking check.")
    unknown_member: str | None = Field(
        default=None,
        description="For a dimension: its key column. Adds the row -1 `Unknown`, which facts point to when theirs is missing.",
    )
    foreign_keys: Annotated[list[AsWritten[ForeignKey]], as_written(list[ForeignKey])] = Field(
        default=[], description="Columns that point to rows of other gold tables."
    )
    columns: Annotated[list[AsWritten[ModelColumn]], as_written(list[ModelColumn])] = Field(
        default=[], description="What columns mean, and tests of them. The SQL says which columns there are."
    )
    tests: Annotated[list[AsWritten[AnyRule]], as_written(list[AnyRule])] = Field(
        default=[],
        description="Rules about the rows of the result: `action: keep` (the default) counts those that break it, `block` publishes nothing.",
    )
    pii: list[str] = Field(default=[], description="Columns with personal data: never shown in previews.")
    materialization: Literal["full"] = Field(
        default="full", description="How the table is made: `full`, anew as a whole when its SQL or inputs changed."
    )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The gold asset with its checks."""
        known = known_tables(context.component_tree)
        spec = known.spec(ModelId(self.workflow, self.name))
        columns = validate_model(self, spec, known)
        metadata: dict[str, Any] = {"sql": dg.MetadataValue.md(f"```sql\n{spec.sql}\n```")}
        metadata |= {"grain": dg.MetadataValue.text(self.grain)} if self.grain else {}
        if columns is not None:
            schema = column_notes.declared_gold(spec, columns)
            metadata |= {"dagster/column_schema": dg.MetadataValue.table_schema(schema)}
        face = replace(self.face(metadata), lineage=known.recorded)
        return dg.Definitions(assets=[build_gold(spec, face)])

    def spec(self, known: KnownTables) -> ModelSpec:
        """The model as the factory takes it, with what its SQL reads.

        Raises:
            DefinitionError: no such file, SQL that does not parse, or a table nobody makes.
        """
        name = self.sql or f"{self.name}.sql"
        file = self.folder / name
        if not file.is_file():
            there = [path.name for path in self.folder.glob("*.sql")]
            raise self.wrong(
                f"model '{self.name}' has no file '{name}' beside this YAML.{did_you_mean(name, there)}",
                "Write the query there, or name its file with `sql`.",
            )
        sql = file.read_text(encoding="utf-8")
        where = f"defs/{self.workflow}/{name}"
        tests = self._tests()
        named = {*(one.model for one in self.foreign_keys), *(one.referenced_table for one in tests)} - {None}
        wanted = {*read_sql(sql, where).within(self.workflow), *(str(one) for one in named)}
        return ModelSpec(
            id=ModelId(self.workflow, self.name),
            sql=sql,
            sql_file=where,
            keys=tuple(self.keys),
            unknown_member=self.unknown_member,
            foreign_keys=tuple(self.foreign_keys),
            pii=frozenset(self.pii),
            reads={table: self._find(table, known.names(self.workflow), where) for table in sorted(wanted)},
            tests=tests,
            notes={one.name: one.description for one in self.columns if one.description},
        )

    def _tests(self) -> tuple[Rule, ...]:
        try:
            return as_tests([*self.tests, *(rule for column in self.columns for rule in column.rules)])
        except ValueError as error:
            raise self.wrong(f"model '{self.name}': {error}", "") from None

    def _find(self, table: str, known: Mapping[str, TableId | ModelId], where: str) -> TableId | ModelId:
        if table == self.name:
            raise self.wrong(
                f"model '{self.name}' reads itself in {where}.", "Read another table, or name the CTE differently."
            )
        if table not in known:
            raise self.wrong(
                f"model '{self.name}' reads '{table}' in {where}, which no document makes.{did_you_mean(table, known)}",
                "Correct the name, or declare the table.",
            )
        return known[table]
