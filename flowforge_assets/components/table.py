"""The YAML of a table: where its files are, what its columns are, which rules hold, how rows are merged."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import dagster as dg
from pydantic import BaseModel, Field

from flowforge_assets.bronze.landed import build_bronze
from flowforge_assets.bronze.sourced import build_source_bronze
from flowforge_assets.column_types.typed_column import TextList
from flowforge_assets.components.discreet import discreet
from flowforge_assets.components.gates import require_gates
from flowforge_assets.components.known import known_tables
from flowforge_assets.components.part import AsWritten, History, all_parts, as_written
from flowforge_assets.components.ruled import RuledPart
from flowforge_assets.components.silver_names import added_twice, wrong_name
from flowforge_assets.components.sourced import SourcedPart
from flowforge_assets.formats.file_options import FileOptions
from flowforge_assets.partitions.partition_by import PartitionBy
from flowforge_assets.running.step import AssetFace
from flowforge_assets.silver.asset import build_silver, silver_reads
from flowforge_assets.strategies.judged import SEQUENCE_PRESENT
from flowforge_assets.table_spec import Column, TableSpec
from flowforge_assets.transforms.pipeline import multiplies
from flowforge_assets.transforms.prepare import TRANSFORMS
from flowforge_checks.quarantine_limits import WAITING, QuarantineLimits
from flowforge_checks.results import BOOKS
from flowforge_checks.statements import KEYS_PRESENT, PARTITION, TYPE
from flowforge_resources.layout import TableId
from flowforge_resources.retention import Retention

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from flowforge_assets.components.workflow import Workflow


class Table(SourcedPart, RuledPart):
    """A table that arrives as files, or is extracted from a database or an API, and is kept as a bronze and a silver asset; or one whose rows another table routes to it."""

    @classmethod
    def model(cls) -> type[BaseModel]:
        """What a document is validated by."""
        return discreet(super().model(), "source", "webhook")

    file: Annotated[AsWritten[FileOptions] | None, as_written(FileOptions | None)] = Field(
        default=None,
        description="How the files are written, of what is not to be found from their content: format, delimiter, sheet, …",
    )
    null_markers: Annotated[list[str], as_written(TextList)] = Field(
        default=[],
        description="Texts that mean there is no value, in every column without `null_markers` of its own. The whole text but for blanks around it, upper and lower case told apart.",
        examples=[["NA", "n/a", "-"]],
    )
    surrogate_key: str = Field(default="", description="Name of the surrogate key column. Default: `<table>_key`.")
    partition_by: Annotated[AsWritten[PartitionBy] | None, as_written(PartitionBy | None)] = Field(
        default=None, description="How silver is cut into partitions. Default: it is in one piece."
    )

    history: History = Field(
        default=None,
        description="Which earlier versions are kept, e.g. `{keep_last: 10, keep_for: 30 days}`. Default: the workflow's.",
    )

    quarantine: Annotated[AsWritten[QuarantineLimits] | None, as_written(QuarantineLimits | None)] = Field(
        default=None,
        description="How many rows may wait in quarantine and how long, e.g. `{max_rows: 1000, max_age: 7 days, keep_for: 90 days}`. Default: without limit.",
    )

    def spec(self, tables: Mapping[str, Table], retention: Retention | None = None) -> TableSpec:
        """The table as factories and transforms take it.

        Args:
            tables: the workflow's tables by name.
            retention: holds where the table declares none.

        Raises:
            DefinitionError: it takes rows from, or looks into, a table that is not there.
        """
        return TableSpec(
            id=TableId(self.workflow, self.name),
            files=self.files,
            file=self.file or FileOptions(),
            columns=tuple(self._with_markers(column) for column in self.columns),
            keys=tuple(self.keys),
            sequence_by=tuple(self.sequence_by),
            surrogate_key=self.surrogate_key or f"{self.name}_key",
            rules=self.each_rule([column.name for column in self.columns]),
            landing=self.landing_options(),
            schema_evolution=self.schema_evolution,
            stop_on_new_columns=self.stops_on_new_columns,
            transforms=tuple(self.transforms),
            landed_columns=tuple(self.landed_columns),
            lookups=self.looked_up(tables),
            histories=self.histories_looked_up(tables),
            routed=self.routed(tables),
            folder=self.folder,
            partition_by=self.partition_by,
            strategy=self.strategy_spec(self.columns),
            retention=self.history or retention or Retention(),
            quarantine=self.quarantine or QuarantineLimits(),
            source=self.source,
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
        known = known_tables(context.component_tree)
        spec = self.spec(tables, workflow.history)
        face = replace(self.face(), lineage=known.recorded, gates=known.gates)
        self.validate_rules(spec, tables)
        self.validate_transforms(spec, tables)
        if self.gates:
            require_gates(self, silver_reads(spec), known.checks)
        if spec.routed:
            return dg.Definitions(assets=[build_silver(spec, face)])
        bronze_face = AssetFace(owners=face.owners, tags=face.tags, lineage=known.recorded, gates=known.gates)
        if spec.source:
            origin = self.require_origin(context)
            bronze = build_source_bronze(spec, origin, bronze_face if spec.columns else replace(face, lineage=None))
            return dg.Definitions(assets=[bronze, build_silver(spec, face)] if spec.columns else [bronze])
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
        self.validate_webhook()
        self.validate_source(self.columns)
        self.validate_schema_evolution()
        if not self.columns:
            return  # bronze only
        names = [column.name for column in self.columns]
        self._refuse_doubles("column", names)
        self._refuse_names(names)
        own = [PARTITION] if self.partition_by else []
        own += [WAITING] if self.quarantine else []
        rules = self.each_rule(names)
        self._refuse_doubles(
            "rule",
            [KEYS_PRESENT, TYPE, TRANSFORMS, SEQUENCE_PRESENT, BOOKS, *own, *(rule.check_name for rule in rules)],
        )
        self._require_columns("keys", self.keys, names)
        self._require_columns("sequence_by", self.sequence_by, names)
        self.validate_strategy(self.columns)
        self._refuse_circle(tables)
        self._validate_partitions(tables)

    def _refuse_names(self, names: list[str]) -> None:
        spec = self.strategy_spec(self.columns)
        added = [(self.surrogate_key or f"{self.name}_key", "surrogate_key")] if self.keys else []
        history = [*((one, "scd2_columns") for one in spec.interval), (spec.version_key, "version_key")]
        stored = [name for name in names if name not in self.except_columns]
        wrong = wrong_name(names, replayed=spec.replays_events) or added_twice(names, added)
        if spec.keeps_history:
            wrong = wrong or added_twice(stored, [*added, *history])
        if wrong:
            raise self.wrong(f"table '{self.name}' {wrong[0]}", wrong[1])

    def _validate_partitions(self, tables: Mapping[str, Table]) -> None:
        if self.partition_by is None:
            return
        spec = self.spec(tables)
        if multiplies(spec):
            raise self.wrong(
                f"table '{self.name}' has `partition_by`, and transforms that make several rows of one.",
                "Take `partition_by` out, or route the rows to a table that is not partitioned.",
            )
        if self.strategy == "append" and not spec.keys:
            raise self.wrong(
                f"table '{self.name}' has `partition_by` and `strategy: append` without `keys`: a partition could not be made anew without telling which of its rows are there already.",
                "Name `keys`, or take `partition_by` out.",
            )
        if spec.replays_events and self.partition_by.path is not None:
            raise self.wrong(
                f"table '{self.name}' has `partition_by.path`, but its rows are made of several landed ones, which may have come by different paths.",
                "Partition it by a column.",
            )
        if wrong := self.partition_by.problem({column.name: column.type for column in spec.stored_columns}):
            raise self.wrong(f"`partition_by` of table '{self.name}' {wrong[0]}", wrong[1])
        if self.automation == "eager":
            raise self.wrong(
                f"table '{self.name}' has `partition_by` and `automation: eager`; Dagster would ask for its newest partition only, whichever the new rows are in.",
                "Leave `automation` out: sensor, schedule and job take whatever is new. Models that read it can be eager.",
            )

    def _refuse_doubles(self, kind: str, names: Iterable[str]) -> None:
        seen: set[str] = set()
        for name in names:
            if name in seen:
                raise self.wrong(
                    f"table '{self.name}' has two {kind}s named '{name}'.",
                    f"Rename one{', e.g. with `name:`' if kind == 'rule' else ''}.",
                )
            seen.add(name)

    def _refuse_circle(self, tables: Mapping[str, Table]) -> None:
        if path := _circle(self.name, tables):
            raise self.wrong(
                f"the references and lookups of {' → '.join(path)} go in a circle, so none of these tables can be first.",
                "Take one of these references out.",
            )


def _circle(start: str, tables: Mapping[str, Table]) -> list[str]:
    """A way along references and lookups from a table back to itself, or nothing."""

    def walk(path: list[str]) -> list[str]:
        part = tables.get(path[-1])
        following = _looks_into(part, tables) if part else set()
        for name in sorted(following - set(path[1:])):
            if name == start:
                return [*path, name]
            if found := walk([*path, name]):
                return found
        return []

    return walk([start])


def _looks_into(part: Table, tables: Mapping[str, Table]) -> set[str]:
    """The tables whose silver must be there before a table's."""
    own = {name for rule in part.rules for name in rule.tables_read}
    own |= {step.table for _, step in part.steps_to_look_up}
    return own | {lookup.table for lookup, _ in (part.spec(tables).lookups_on_the_way if part.source_table else ())}
