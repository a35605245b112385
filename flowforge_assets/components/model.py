"""The YAML of a gold model: its SQL file, its key, and what it points to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import dagster as dg
from pydantic import Field

from flowforge_assets.components.part import AssetPart, AsWritten, all_parts, as_written
from flowforge_assets.components.table import Table
from flowforge_assets.gold import build_gold
from flowforge_assets.model_spec import ForeignKey, ModelSpec, read_sql
from flowforge_resources.errors import did_you_mean
from flowforge_resources.layout import ModelId, TableId

if TYPE_CHECKING:
    from collections.abc import Iterable


class Model(AssetPart):
    """A gold table made by a SQL query over silver and other gold tables."""

    sql: str = Field(default="", description="File of the query, beside this YAML. Default: `<model>.sql`.")
    keys: list[str] = Field(default=[], description="Columns that identify a row; a blocking check.")
    unknown_member: str | None = Field(
        default=None,
        description="For a dimension: its key column. Adds the row -1 `Unknown`, which facts point to when theirs is missing.",
    )
    foreign_keys: Annotated[list[AsWritten[ForeignKey]], as_written(list[ForeignKey])] = Field(
        default=[], description="Columns that point to rows of other gold tables."
    )
    pii: list[str] = Field(default=[], description="Columns with personal data: never shown in previews.")

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The gold asset with its checks."""
        tables = all_parts(context, Table)
        known = known_tables(tables, all_parts(context, Model), self.workflow)
        spec = self.spec(known)
        cut = {TableId(part.workflow, part.name) for part in tables if part.partition_by}
        in_partitions = [dg.AssetKey(read.silver_key) for read in spec.reads.values() if read in cut]
        metadata = {"sql": dg.MetadataValue.md(f"```sql\n{spec.sql}\n```")}
        return dg.Definitions(assets=[build_gold(spec, self.face(metadata, in_partitions))])

    def spec(self, known: dict[str, TableId | ModelId]) -> ModelSpec:
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
        wanted = {*read_sql(sql, where).tables, *(foreign.model for foreign in self.foreign_keys)}
        return ModelSpec(
            id=ModelId(self.workflow, self.name),
            sql=sql,
            sql_file=where,
            keys=tuple(self.keys),
            unknown_member=self.unknown_member,
            foreign_keys=tuple(self.foreign_keys),
            pii=frozenset(self.pii),
            reads={table: self._find(table, known, where) for table in sorted(wanted)},
        )

    def _find(self, table: str, known: dict[str, TableId | ModelId], where: str) -> TableId | ModelId:
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


def known_tables(tables: Iterable[Table], models: Iterable[Model], workflow: str) -> dict[str, TableId | ModelId]:
    """Every table a model of `workflow` may read: its own by name, other workflows' as `workflow.name`."""
    found: dict[str, TableId | ModelId] = {}
    for part in (*tables, *models):
        made = TableId(part.workflow, part.name) if isinstance(part, Table) else ModelId(part.workflow, part.name)
        found[f"{part.workflow}.{made.name}"] = made
        if part.workflow == workflow:
            found[made.name] = made
    return found
