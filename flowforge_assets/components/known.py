"""Every table and model of the tree that is being loaded: what models may read, what each returns, and where from."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, ClassVar

from flowforge_assets.components.gates import checks_of, edges_of
from flowforge_assets.gold.lookups import require_columns, with_lookups
from flowforge_assets.lineage.graph import Lineage, lineage_of
from flowforge_assets.lineage.recorded import RecordedLineage
from flowforge_assets.lineage.sinks import sink_lineage, with_sinks
from flowforge_assets.model_sql.analysis import NOTHING_KNOWN, SqlAnalysis, analyse
from flowforge_assets.model_sql.query import Query
from flowforge_assets.model_sql.reads import read_sql
from flowforge_assets.model_sql.row_keeping import RowKeeping, row_keeping
from flowforge_assets.transforms.cast import table_types
from flowforge_checks.holding import GateGraph
from flowforge_resources.errors import DefinitionError, ModelColumnsError
from flowforge_resources.layout import ModelId, TableId

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import dagster as dg

    from flowforge_assets.components.connection import Connection
    from flowforge_assets.components.gold_part import GoldPart
    from flowforge_assets.components.reconciliation import Reconciliation
    from flowforge_assets.components.sink import Sink
    from flowforge_assets.components.table import Table
    from flowforge_assets.gold.model_spec import ModelSpec
    from flowforge_assets.table_spec import TableSpec


class KnownTables:
    """What is declared. Everything is worked out when it is asked for, and once."""

    def __init__(
        self,
        tables: Sequence[Table],
        models: Sequence[GoldPart],
        connections: Callable[[], Sequence[Connection]] = lambda: (),
        sinks: Sequence[Sink] = (),
        reconciliations: Callable[[], Sequence[Reconciliation]] = lambda: (),
    ) -> None:
        self._sinks, self._reconciliations = sinks, reconciliations
        self._tables = {TableId(part.workflow, part.name): part for part in tables}
        self._models = {ModelId(part.workflow, part.name): part for part in models}
        self._connections = connections
        self._names: dict[str, dict[str, TableId | ModelId]] = {}
        self._analyses: dict[ModelId, SqlAnalysis] = {}
        self._specs: dict[ModelId, ModelSpec] = {}
        self._personal: dict[TableId | ModelId, frozenset[str]] = {}

    def names(self, workflow: str) -> Mapping[str, TableId | ModelId]:
        """Every table a model of `workflow` may read: its own by name, other workflows' as `workflow.name`."""
        if workflow not in self._names:
            every: list[TableId | ModelId] = [*self._tables, *self._models]
            found = {f"{made.workflow.lower()}.{made.name}": made for made in every}
            self._names[workflow] = found | {made.name: made for made in every if made.workflow == workflow}
        return self._names[workflow]

    @property
    def everything(self) -> list[TableId | ModelId]:
        """Every table and model of every workflow."""
        return [*self._tables, *self._models]

    @property
    def connections(self) -> Mapping[str, Connection]:
        """Every declared connection by name."""
        return {one.name: one for one in self._connections()}

    def spec(self, model: ModelId) -> ModelSpec:
        """A model as factories take it."""
        if model not in self._specs:
            self._specs[model] = self._models[model].spec(self)
        return self._specs[model]

    def unknown_key(self, model: ModelId) -> str | None:
        """The key column of a model's unknown member, if it has one."""
        return self._models[model].unknown_key

    def in_partitions(self, reads: Iterable[TableId | ModelId]) -> list[dg.AssetKey]:
        """The silver tables among those read that are in partitions."""
        import dagster as dg

        tables = [read for read in reads if isinstance(read, TableId)]
        return [dg.AssetKey(table.silver_key) for table in tables if self._tables[table].partition_by]

    def columns(self, read: TableId | ModelId) -> Mapping[str, str] | None:
        """Columns and stored types of a silver table or a model; None where only a run can say."""
        if isinstance(read, TableId):
            return table_types(self._table_specs[read])
        return self.analysis(read).columns

    def analysis(self, model: ModelId) -> SqlAnalysis:
        """What a model's SQL says about itself, upstream first.

        Raises:
            DefinitionError: DuckDB cannot run it, or models read each other in a circle.
        """
        if model not in self._analyses:
            self.require_order()
            spec = self.spec(model)
            own = self._analyse(spec, spec.sql)
            self._analyses[model] = self._with_lookups(spec, own) if spec.lookups or spec.omit else own
        return self._analyses[model]

    def _analyse(self, spec: ModelSpec, sql: str) -> SqlAnalysis:
        reads = read_sql(sql, spec.sql_file)
        found = {name: self.columns(spec.read(name)) for name in reads.within(spec.id.workflow)}
        known = {name: columns for name, columns in found.items() if columns is not None}
        if reads.open_ended or len(known) < len(found):
            return NOTHING_KNOWN
        return analyse(Query(sql, spec.sql_file, spec.id.workflow, known))

    def _with_lookups(self, spec: ModelSpec, own: SqlAnalysis) -> SqlAnalysis:
        """What the query returns with what it looks up; the lookups are checked first, in words of the document."""
        others = {one.model: self.columns(spec.reads[one.model]) for one in spec.lookups}
        try:
            require_columns(spec.sql_file, own.columns, others, spec.lookups, spec.omit)
        except ModelColumnsError as error:
            raise DefinitionError(error.where, error.problem, error.fix) from None
        return self._analyse(spec, with_lookups(spec.statement, spec.lookups, spec.omit))

    def with_row_keeping(self, spec: ModelSpec) -> ModelSpec:
        """A model with what to ask of its joins; with nothing to ask where it has none, or nobody wants to know."""
        keeping = self._row_keeping(spec, spec.rows_kept.driving) if spec.rows_kept else None
        if spec.rows_kept is None or keeping is None:
            return replace(spec, rows_kept=None)
        shown = self.shown_keys(spec.read(keeping.driving)) if keeping.stages else ()
        return replace(spec, rows_kept=replace(spec.rows_kept, keeping=keeping, shown=shown))

    def _row_keeping(self, spec: ModelSpec, driving: str | None) -> RowKeeping | None:
        reads = read_sql(spec.sql, spec.sql_file)
        found = {name: self.columns(spec.read(name)) for name in reads.within(spec.id.workflow)}
        known = {name: columns for name, columns in found.items() if columns is not None}
        if reads.open_ended or len(known) < len(found):
            return RowKeeping(reason="only a run can say which columns there are.")
        query = Query(spec.sql, spec.sql_file, spec.id.workflow, known)
        return row_keeping(query, spec.keys, driving)

    def table_spec(self, table: TableId) -> TableSpec:
        """A table as factories take it."""
        return self._table_specs[table]

    def personal(self, read: TableId | ModelId) -> frozenset[str]:
        """Columns of a table with personal data, under the names of every layer."""
        if isinstance(read, ModelId):
            return self._published_personal(read)
        spec = self._table_specs[read]
        aliases = (name for one in spec.landed if one.header in spec.landed_pii for name in one.aliases)
        return spec.pii | spec.landed_pii | frozenset(aliases)

    def shown_keys(self, read: TableId | ModelId) -> tuple[str, ...]:
        """The key columns of a table that may be shown: none with personal data."""
        if isinstance(read, TableId):
            table = self._table_specs[read]
            return tuple(name for name in table.keys if name not in table.pii)
        return tuple(name for name in self.spec(read).keys if name not in self.personal(read))

    def _personal_of_model(self, model: ModelId) -> frozenset[str]:
        """Columns that are declared personal, and those whose values are taken from such columns or computed of them.

        What is counted or added up of many rows is not, unless it is a text: the smallest address is an address.
        """
        spec, found = self.spec(model), self.analysis(model)
        carried = {
            name
            for name, sources in found.origins.items()
            for source in sources
            if source.kind in ("identity", "transformation", "masked")  # SQL hashes without a salt
            or (source.kind == "aggregation" and (found.columns or {}).get(name) == "VARCHAR")
            if source.column in self._published_personal(spec.read(source.table))
        }
        return spec.pii | (carried - spec.not_pii)

    def _published_personal(self, read: TableId | ModelId) -> frozenset[str]:
        """Those of a silver table, without what only bronze calls so, or of a model."""
        if read not in self._personal:
            found = self._table_specs[read].pii if isinstance(read, TableId) else self._personal_of_model(read)
            self._personal[read] = found
        return self._personal[read]

    def identifying(self, read: TableId | ModelId) -> tuple[str, ...]:
        """The columns that identify a row of a table; of one that keeps history, a version of a row."""
        if isinstance(read, ModelId):
            return self.spec(read).keys
        table = self._table_specs[read]
        return (table.strategy.version_key,) if table.strategy.keeps_history else table.keys

    def require_order(self) -> None:
        """Every model can be built after what it reads.

        Raises:
            DefinitionError: models read each other in a circle.
        """
        _ = self._order

    @cached_property
    def _order(self) -> tuple[ModelId, ...]:
        graph = {
            model: [read for read in self.spec(model).reads.values() if isinstance(read, ModelId)]
            for model in self._models
        }
        try:
            return tuple(TopologicalSorter(graph).static_order())
        except CycleError as error:
            circle: list[ModelId] = list(reversed(error.args[1]))
            first = self._models[circle[0]]
            way = " → ".join(one.name if one.workflow == first.workflow else str(one) for one in circle)
            raise first.wrong(
                f"the models {way} read each other in a circle, so none of them can be first.",
                "Take one of these reads out of its SQL.",
            ) from None

    @property
    def table_specs(self) -> Mapping[TableId, TableSpec]:
        """Every table as factories take it."""
        return self._table_specs

    @cached_property
    def _table_specs(self) -> dict[TableId, TableSpec]:
        return {name: part.spec(self._tables_of(name.workflow)) for name, part in self._tables.items()}

    def _tables_of(self, workflow: str) -> dict[str, Table]:
        return {part.name: part for name, part in self._tables.items() if name.workflow == workflow}

    @cached_property
    def recorded(self) -> RecordedLineage:
        """What assets record of the lineage."""
        return RecordedLineage(lambda: self.lineage)

    @cached_property
    def gates(self) -> GateGraph:
        """Which checks of which tables hold which others."""
        return GateGraph(
            lambda: edges_of(
                [(part, self._table_specs[name]) for name, part in self._tables.items()],
                [(part, self.spec(name)) for name, part in self._models.items()],
                [(part, part.read(self)) for part in self._sinks],
            ),
            lambda: self._apart,
        )

    @cached_property
    def _apart(self) -> dict[str, frozenset[str]]:
        """The checks that reconciliations have in a step of their own, by `workflow/asset`."""
        found: dict[str, frozenset[str]] = {}
        for asset, check in filter(None, (part.asked_apart(self) for part in self._reconciliations())):
            found[asset] = found.get(asset, frozenset()) | {check}
        return found

    @cached_property
    def checks(self) -> dict[str, tuple[str, ...]]:
        """The checks of every asset that can hold others, by `workflow/asset`."""
        models = [self.with_row_keeping(self.spec(model)) for model in self._models]
        own = checks_of(self._table_specs.values(), models)
        return {asset: (*names, *sorted(self._apart.get(asset, ()))) for asset, names in own.items()}

    @cached_property
    def lineage(self) -> Lineage:
        """Where every column of every workflow comes from."""
        models = [(replace(self.spec(model), pii=self.personal(model)), self.analysis(model)) for model in self._models]
        about: dict[TableId | ModelId, str] = {name: part.description or "" for name, part in self._tables.items()}
        about |= {name: part.description or "" for name, part in self._models.items()}
        found = lineage_of(list(self._table_specs.values()), models, about)
        sinks = [
            sink_lineage(part.workflow, part.name, part.read(self), part.lineage(self)[1], part.description)
            for part in self._sinks
        ]
        return with_sinks(found, sinks)


class _Loaded:
    """The tree that is being loaded, or was last, and what is known of it."""

    tree: dg.ComponentTree | None = None
    known: ClassVar[KnownTables]


def known_tables(tree: dg.ComponentTree) -> KnownTables:
    """Every table and model of a tree."""
    from flowforge_assets.components.connection import Connection
    from flowforge_assets.components.gold_part import GoldPart
    from flowforge_assets.components.reconciliation import Reconciliation
    from flowforge_assets.components.sink import Sink
    from flowforge_assets.components.table import Table

    if _Loaded.tree is not tree:
        tables = [part for part in tree.get_all_components(Table) if part.columns]  # the others are bronze only
        models = tree.get_all_components(GoldPart)
        sinks = tree.get_all_components(Sink)
        _Loaded.known = KnownTables(
            tables,
            models,
            lambda: tree.get_all_components(Connection),
            sinks,
            lambda: tree.get_all_components(Reconciliation),
        )
        _Loaded.tree = tree
    return _Loaded.known
