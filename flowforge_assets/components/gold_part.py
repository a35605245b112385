"""What documents of gold tables have in common: what they may read, and that it is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from flowforge_assets.components.part import AssetPart, all_parts
from flowforge_assets.components.table import Table
from flowforge_assets.gold import build_gold
from flowforge_resources.errors import did_you_mean
from flowforge_resources.layout import ModelId, TableId

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from flowforge_assets.model_spec import ModelSpec


class GoldPart(AssetPart):
    """A document that declares a gold table."""

    @property
    def unknown_key(self) -> str | None:
        """The key column of its unknown member, if it has one."""
        return None

    def spec(self, known: Mapping[str, TableId | ModelId]) -> ModelSpec:
        """The table as the factory takes it, with what its SQL reads."""
        raise NotImplementedError

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The gold asset with its checks."""
        models = all_parts(context, GoldPart)
        tables = all_parts(context, Table)
        spec = self.spec(known_tables(tables, models, self.workflow))
        self.require_unknown_members(spec, {ModelId(one.workflow, one.name): one for one in models})
        metadata = {"sql": dg.MetadataValue.md(f"```sql\n{spec.sql}\n```")}
        return dg.Definitions(
            assets=[build_gold(spec, self.face(metadata, in_partitions(tables, spec.reads.values())))]
        )

    def require_unknown_members(self, spec: ModelSpec, models: Mapping[ModelId, GoldPart]) -> None:
        """Whatever may be pointed to the unknown member has one.

        Raises:
            DefinitionError: it has none, or under another column.
        """
        wanted = [(one.column, one.model, one.target) for one in spec.foreign_keys if one.on_orphan == "unknown"]
        wanted += [(one.column, one.model, one.target) for one in spec.lookups]
        for column, model, target in wanted:
            read = spec.reads[model]
            if isinstance(read, ModelId) and models[read].unknown_key != target:
                raise self.wrong(
                    f"model '{self.name}': `{column}` is to point to the unknown member of '{model}', which has none in its column `{target}`.",
                    f"Declare `unknown_member: {target}` there, or name its key column.",
                )

    def reads(
        self, tables: Iterable[str], known: Mapping[str, TableId | ModelId], where: str
    ) -> dict[str, TableId | ModelId]:
        """Who makes each table that is read.

        Raises:
            DefinitionError: nobody does, or it is this one itself.
        """
        return {table: self._find(table, known, where) for table in sorted(tables)}

    def _find(self, table: str, known: Mapping[str, TableId | ModelId], where: str) -> TableId | ModelId:
        if table in (self.name, f"{self.workflow}.{self.name}"):
            raise self.wrong(
                f"model '{self.name}' reads itself in {where}.", "Read another table, or name the CTE differently."
            )
        if table not in known:
            raise self.wrong(
                f"model '{self.name}' reads '{table}' in {where}, which no document makes.{did_you_mean(table, known)}",
                "Correct the name, or declare the table.",
            )
        return known[table]


def in_partitions(tables: Iterable[Table], reads: Iterable[TableId | ModelId]) -> list[dg.AssetKey]:
    """The silver tables among those read that are in partitions."""
    cut = {TableId(part.workflow, part.name) for part in tables if part.partition_by}
    return [dg.AssetKey(read.silver_key) for read in reads if isinstance(read, TableId) and read in cut]


def known_tables(tables: Iterable[Table], models: Iterable[GoldPart], workflow: str) -> dict[str, TableId | ModelId]:
    """Every table a model of `workflow` may read: its own by name, other workflows' as `workflow.name`."""
    found: dict[str, TableId | ModelId] = {}
    for part in (*tables, *models):
        made = TableId(part.workflow, part.name) if isinstance(part, Table) else ModelId(part.workflow, part.name)
        found[f"{part.workflow}.{made.name}"] = made
        if part.workflow == workflow:
            found[made.name] = made
    return found
