"""The YAML of a sink: a published table, or part of it, that is delivered to where applications need it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import dagster as dg
from pydantic import BaseModel, Field, ValidationError

from flowforge_assets.components.connection import find_connection
from flowforge_assets.components.gates import require_gates
from flowforge_assets.components.known import known_tables
from flowforge_assets.components.part import AssetPart, AsWritten, as_written
from flowforge_assets.gold.asset import asset_path
from flowforge_assets.model_sql.analysis import NOTHING_KNOWN, SqlAnalysis, analyse
from flowforge_assets.model_sql.query import Query
from flowforge_assets.sinks.asset import build_sink
from flowforge_assets.sinks.destinations import ToDatabase, ToFolder, ToHttp
from flowforge_assets.sinks.spec import SinkSpec, select
from flowforge_assets.sinks.targets import ToEndpoint, ToFiles, ToTable
from flowforge_assets.transforms.cast import AUDIT_COLUMNS
from flowforge_resources.databases.catalog import TableName
from flowforge_resources.duck import quote
from flowforge_resources.errors import DefinitionError, did_you_mean
from flowforge_resources.layout import ModelId, TableId
from flowforge_resources.published import word_for
from flowforge_resources.sinks.database import TableTarget
from flowforge_resources.sinks.endpoint import EndpointTarget
from flowforge_resources.sinks.file_formats import CsvText, FileFormat
from flowforge_resources.sinks.files import FileTarget

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowforge_assets.components.known import KnownTables
    from flowforge_assets.sinks.spec import Destination

_TARGETS: dict[str, type[BaseModel]] = {"connection": ToTable, "files": ToFiles, "url": ToEndpoint}


class Sink(AssetPart):
    """A silver table or gold model, delivered to a table of a database, to files, or to an HTTP endpoint."""

    table: str = Field(
        description="What is delivered: a table or model by name, `workflow.table` of another workflow.",
        examples=["fact_sales"],
    )
    columns: list[str] = Field(
        default=[],
        description="Columns that are delivered, in this order. Default: all but those whose name begins with `_`.",
    )
    rename: dict[str, str] = Field(
        default={}, description="Names under which columns are delivered, by their name in the table."
    )
    where: str | None = Field(default=None, description="SQL condition (DuckDB's) of the rows that are delivered.")
    to: Annotated[AsWritten[dict[str, Any]], as_written(dict[str, Any])] = Field(
        description="Where to: `{connection: …, table: …}` (see ToTable), `{files: …, format: …}` (see ToFiles) or `{url: …}` (see ToEndpoint).",
        examples=[{"connection": "shop", "table": "reporting.sales", "mode": "upsert", "keys": ["sales_id"]}],
    )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The sink's asset with its check."""
        known = known_tables(context.component_tree)
        spec = self.spec(known, context)
        if self.gates:
            require_gates(self, [asset_path(spec.read)], known.checks)
        face = self.face({}, known.in_partitions([spec.read]))
        if spec.analysis.columns is not None:
            schema = dg.TableSchema(
                [dg.TableColumn(name, word_for(kind)) for name, kind in spec.analysis.columns.items()]
            )
            face = replace(face, metadata={"dagster/column_schema": dg.MetadataValue.table_schema(schema)})
        face = replace(face, lineage=known.recorded, gates=known.gates)
        return dg.Definitions(assets=[build_sink(spec, face)])

    def read(self, known: KnownTables) -> TableId | ModelId:
        """What is delivered.

        Raises:
            DefinitionError: no document makes it.
        """
        names = known.names(self.workflow)
        if self.table not in names:
            raise self.wrong(
                f"sink '{self.name}' delivers '{self.table}', which no document makes.{did_you_mean(self.table, names)}",
                "Correct the name, or declare the table.",
                *("attributes", "table"),
            )
        return names[self.table]

    def spec(self, known: KnownTables, context: dg.ComponentLoadContext) -> SinkSpec:
        """The sink as its asset takes it.

        Raises:
            DefinitionError: a table, column, connection or key that is not there.
        """
        read = self.read(known)
        columns, analysis = self.lineage(known)
        destination = self._destination(columns, known, context)
        return SinkSpec(
            id=ModelId(self.workflow, self.name),
            table=self.table,
            read=read,
            columns=columns,
            where=self.where,
            destination=destination,
            analysis=analysis,
        )

    # -- columns --------------------------------------------------------------------------------------------------

    def lineage(self, known: KnownTables) -> tuple[Mapping[str, str], SqlAnalysis]:
        """Columns by the names they are delivered under, and where they come from."""
        columns, analysis = self._selected(known, self.read(known))
        target = self._target()
        if not isinstance(target, ToTable):
            return columns, analysis
        with_keys, _ = self._keys(target, columns, known)
        return with_keys, (self.analysis(known, with_keys) if with_keys != columns else analysis)

    def _selected(self, known: KnownTables, read: TableId | ModelId) -> tuple[dict[str, str], SqlAnalysis]:
        there = known.columns(read)
        if there is None and not self.columns:
            if self.rename:
                raise self.wrong(
                    f"sink '{self.name}' renames columns of '{self.table}', whose columns only a run can say.",
                    "List `columns` as well.",
                )
            return {}, NOTHING_KNOWN
        names = self.columns or [name for name in there or () if not name.startswith("_")]
        for field, named in (("columns", names), ("rename", self.rename)):
            for name in named:
                if there is not None and name not in there:
                    raise self.wrong(
                        f"`{field}` of sink '{self.name}' names the column '{name}', which '{self.table}' does not have.{did_you_mean(name, there)}",
                        "Correct the name.",
                        *("attributes", field),
                    )
        chosen: dict[str, str] = {}
        for name in names:
            ours = self.rename.get(name, name)
            if ours in chosen:
                raise self.wrong(f"sink '{self.name}' delivers two columns as '{ours}'.", "Rename one.")
            chosen[ours] = name
        return chosen, self.analysis(known, chosen)

    def analysis(self, known: KnownTables, columns: Mapping[str, str]) -> SqlAnalysis:
        """Types of what is delivered and where it comes from.

        Raises:
            DefinitionError: `where` cannot be asked.
        """
        there = known.columns(self.read(known))
        if there is None:
            return NOTHING_KNOWN
        source = ".".join(quote(part) for part in self.table.split("."))
        sql = select(columns, self.where, source)
        try:
            return analyse(Query(sql, self.stands_at, self.workflow, {self.table: there}))
        except DefinitionError as error:
            raise self.wrong(
                f"`where` of sink '{self.name}' cannot be asked: {error.problem}", error.fix, "attributes", "where"
            ) from None

    # -- where to -------------------------------------------------------------------------------------------------

    def _target(self) -> BaseModel:
        named = [word for word in _TARGETS if word in self.to]
        if len(named) != 1:
            words = ", ".join(f"`{word}`" for word in _TARGETS)
            raise self.wrong(
                f"`to` of sink '{self.name}' names {'no' if not named else 'more than one'} kind of target.",
                f"Give it one of {words}.",
                *("attributes", "to"),
            )
        kind = _TARGETS[named[0]]
        try:
            return kind.model_validate(self.to)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = [str(one) for one in first["loc"]]
            near = did_you_mean(where[0], kind.model_fields) if first["type"] == "extra_forbidden" and where else ""
            said = str(first["msg"]).removeprefix("Value error, ").rstrip(".")
            raise self.wrong(
                f"`to` of sink '{self.name}': {'.'.join(where)}: {said}.{near}".replace(": :", ":"),
                "See the reference.",
                *("attributes", "to", *where[:1]),
            ) from None

    def _destination(
        self, columns: Mapping[str, str], known: KnownTables, context: dg.ComponentLoadContext
    ) -> Destination:
        to = self._target()
        if isinstance(to, ToTable):
            return self._to_table(to, columns, known, context)
        if isinstance(to, ToFiles):
            return self._to_files(to, columns)
        if isinstance(to, ToEndpoint):
            return self._to_endpoint(to)
        raise AssertionError(f"{type(to).__name__} is no target")

    def _to_files(self, to: ToFiles, columns: Mapping[str, str]) -> Destination:
        for name in to.partition_by:
            if columns and name not in columns:
                raise self.wrong(
                    f"`partition_by` of sink '{self.name}' names '{name}', which is not delivered.{did_you_mean(name, columns)}",
                    "Name a column as it is delivered.",
                    *("attributes", "to"),
                )
        none = None if to.format == "csv" else "uncompressed"
        packed = none if to.compression == "none" else to.compression
        how = FileFormat(to.format, packed, CsvText(**to.csv.model_dump()))
        return ToFolder(FileTarget(to.files, self.name, how, tuple(to.partition_by), to.keep_last))

    def _to_endpoint(self, to: ToEndpoint) -> Destination:
        for problem, fix in to.problems():
            raise self.wrong(f"`to` of sink '{self.name}': {problem}", fix, "attributes", "to")
        return ToHttp(EndpointTarget(to.url, to.method, to.batch_rows, to.accepted, to.auth, to.headers, to.patience))

    def _to_table(
        self, to: ToTable, columns: Mapping[str, str], known: KnownTables, context: dg.ComponentLoadContext
    ) -> Destination:
        connection = find_connection(context, to.connection, self)
        if connection.read_only:
            raise self.wrong(
                f"sink '{self.name}' writes to the connection '{to.connection}', which is read-only.",
                f"Declare `read_only: false` in connection '{to.connection}'.",
                *("attributes", "to"),
            )
        if to.delete_missing and to.mode != "upsert":
            raise self.wrong(
                f"sink '{self.name}' has `delete_missing` with `mode: {to.mode}`.", "It belongs to `mode: upsert`."
            )
        _, keys = self._keys(to, columns, known)
        return ToDatabase(
            TableTarget(connection, TableName.parse(to.table), to.mode, tuple(keys), to.delete_missing, to.allow_empty)
        )

    def _keys(
        self, to: ToTable, columns: Mapping[str, str], known: KnownTables
    ) -> tuple[Mapping[str, str], Sequence[str]]:
        """The columns with what they are found by; an appended table without keys is found by its audit columns."""
        read = self.read(known)
        own = known.identifying(read)
        delivered = {theirs: ours for ours, theirs in columns.items()}
        keys = to.keys or [delivered[name] for name in own if name in delivered]
        if not to.keys and len(keys) < len(own):
            keys = []
        if not keys and to.mode == "append" and isinstance(read, TableId) and not own:
            columns = {**columns} | {name: name for name in AUDIT_COLUMNS if name not in columns}
            keys = list(AUDIT_COLUMNS)
        if not keys and to.mode != "replace":
            raise self.wrong(
                f"sink '{self.name}' has `mode: {to.mode}` and no keys: the keys of '{self.table}' are "
                f"{'not all delivered' if own else 'none'}.",
                "Declare `keys` in `to`: the columns, as they are delivered, that identify a row.",
                *("attributes", "to"),
            )
        for key in keys:
            if columns and key not in columns:
                raise self.wrong(
                    f"`keys` of sink '{self.name}' names '{key}', which is not delivered.{did_you_mean(key, columns)}",
                    "Name a column as it is delivered.",
                    *("attributes", "to"),
                )
        return columns, keys
