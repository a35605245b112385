"""What documents of gold tables have in common: what they may read, and that it is there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import dagster as dg

from flowforge_assets import column_notes
from flowforge_assets.components.gates import model_reads, require_gates
from flowforge_assets.components.known import known_tables
from flowforge_assets.components.model_validation import validate_model
from flowforge_assets.components.part import AssetPart
from flowforge_assets.components.reconciliation import staged_reconciliations
from flowforge_assets.gold.asset import build_gold
from flowforge_resources.errors import did_you_mean
from flowforge_resources.layout import ModelId

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowforge_assets.components.known import KnownTables
    from flowforge_assets.gold.model_spec import ModelSpec
    from flowforge_resources.layout import TableId


class GoldPart(AssetPart):
    """A document that declares a gold table."""

    @property
    def unknown_key(self) -> str | None:
        """The key column of its unknown member, if it has one."""
        return None

    @property
    def documented(self) -> list[str]:
        """Columns that it says something about."""
        return []

    @property
    def facts(self) -> dict[str, Any]:
        """What else the UI shows of it."""
        return {}

    def spec(self, known: KnownTables) -> ModelSpec:
        """The table as the factory takes it, with what its SQL reads."""
        raise NotImplementedError

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The gold asset with its checks."""
        known = known_tables(context.component_tree)
        spec = known.spec(ModelId(self.workflow, self.name))
        self._require_unknown_members(spec, known)
        columns = validate_model(self, spec, known)
        spec = replace(spec, pii=known.personal(spec.id))
        metadata: dict[str, Any] = {"sql": dg.MetadataValue.md(f"```sql\n{spec.sql}\n```"), **self.facts}
        if columns is not None:
            schema = column_notes.declared_gold(spec, columns)
            metadata |= {"dagster/column_schema": dg.MetadataValue.table_schema(schema)}
        if self.gates:
            require_gates(self, model_reads(spec), known.checks)
        face = self.face(metadata, known.in_partitions(spec.reads.values()))
        face = replace(face, lineage=known.recorded, gates=known.gates)
        spec = replace(known.with_row_keeping(spec), reconciled=staged_reconciliations(context, spec.id))
        return dg.Definitions(assets=[build_gold(spec, face)])

    def _require_unknown_members(self, spec: ModelSpec, known: KnownTables) -> None:
        """Whatever may be pointed to the unknown member has one.

        Raises:
            DefinitionError: it has none, or under another column.
        """
        wanted = [(one.column, one.model, one.target) for one in spec.foreign_keys if one.on_orphan == "unknown"]
        wanted += [(one.column, one.model, one.target) for one in spec.lookups]
        for column, model, target in wanted:
            read = spec.reads[model]
            if isinstance(read, ModelId) and known.unknown_key(read) != target:
                raise self.wrong(
                    f"model '{self.name}': `{column}` is to point to the unknown member of '{model}', which has none in its column `{target}`.",
                    f"Declare `unknown_member: {target}` there, or name its key column.",
                )

    def reads(self, tables: Iterable[str], known: KnownTables, where: str) -> dict[str, TableId | ModelId]:
        """Who makes each table that is read.

        Raises:
            DefinitionError: nobody does, or it is this one itself.
        """
        return {table: self._find(table, known, where) for table in sorted(tables)}

    def _find(self, table: str, known: KnownTables, where: str) -> TableId | ModelId:
        if table in (self.name, f"{self.workflow}.{self.name}"):
            raise self.wrong(
                f"model '{self.name}' reads itself in {where}.", "Read another table, or name the CTE differently."
            )
        names = known.names(self.workflow)
        if table not in names:
            raise self.wrong(
                f"model '{self.name}' reads '{table}' in {where}, which no document makes.{did_you_mean(table, names)}",
                "Correct the name, or declare the table.",
            )
        return names[table]
