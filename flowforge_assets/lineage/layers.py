"""What each layer does to columns: landing to bronze, bronze to silver, silver and gold to gold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowforge_assets.lineage.edges import ColumnRef, Edge, TableNode, stronger
from flowforge_assets.lineage.way import merged, way_to
from flowforge_assets.model_sql.conditions import columns_named
from flowforge_assets.transforms.cast import AUDIT_TYPES, table_types
from flowforge_checks.rules import REMOVES_ROWS
from flowforge_resources.layout import TableId
from flowforge_resources.published import word_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flowforge_assets.gold.model_spec import ModelSpec
    from flowforge_assets.lineage.way import Sources
    from flowforge_assets.model_sql.analysis import Source, SqlAnalysis
    from flowforge_assets.table_spec import TableSpec
    from flowforge_checks.rules import Rule
    from flowforge_resources.layout import ModelId


def landing_name(table: TableId) -> str:
    """Node of a table's landing files."""
    return f"{table.workflow}.landing_{table.name}"


def table_name(read: TableId | ModelId) -> str:
    """Node of a silver table or a model."""
    return ".".join(read.silver_key if isinstance(read, TableId) else read.key)


def table_nodes(spec: TableSpec, about: str) -> Iterator[TableNode]:
    """The silver of a table, and its landing files and bronze where it has its own."""
    if spec.routed is None:
        keys = frozenset(column.header for column in spec.landed if column.name in spec.keys)
        pii = spec.landed_pii
        landed = dict.fromkeys([name for names in _headers(spec).values() for name in names], "text")
        yield TableNode(landing_name(spec.id), "landing", landed, keys, pii, description=f"Files `{spec.files}`.")
        columns = dict.fromkeys(spec.landed_headers, "text") | _written(AUDIT_TYPES)
        yield TableNode(".".join(spec.id.bronze_key), "bronze", columns, keys, pii)
    described = {column.name: column.description or "" for column in spec.stored_columns}
    yield TableNode(
        table_name(spec.id),
        "silver",
        _written(table_types(spec)),
        frozenset(spec.keys),
        spec.pii.intersection(described),
        description=about,
        notes=tuple(described.items()),
    )


def _headers(spec: TableSpec) -> dict[str, tuple[str, ...]]:
    """The headers under which files may bring each column of bronze."""
    declared = {column.header: (column.header, *column.aliases) for column in spec.landed}
    return {name: (name,) for name in spec.landed_headers} | declared


def model_node(spec: ModelSpec, analysis: SqlAnalysis, about: str) -> TableNode:
    """A gold table."""
    columns = None if analysis.columns is None else _written(analysis.columns)
    unknown = frozenset(name for name in columns or {} if name not in analysis.origins)
    return TableNode(
        table_name(spec.id), "gold", columns, frozenset(spec.keys), spec.pii, unknown, about, tuple(spec.notes.items())
    )


def _written(types: Mapping[str, str]) -> dict[str, str]:
    return {name: word_for(kind) for name, kind in types.items()}


def table_edges(spec: TableSpec) -> Iterator[Edge]:
    """From landing files to silver."""
    bronze, silver = ".".join(spec.root.id.bronze_key), table_name(spec.id)
    if spec.routed is None:
        for header, names in _headers(spec).items():
            for name in dict.fromkeys(names):
                yield Edge(ColumnRef(landing_name(spec.id), name), ColumnRef(bronze, header), "identity")
    way = way_to(spec)
    values = dict(way.made)
    values |= {name: {ColumnRef(bronze, name): "identity"} for name in AUDIT_TYPES}
    values |= _keys_and_versions(spec, values)
    for name in table_types(spec):
        for source, kind in values.get(name, {}).items():
            yield Edge(source, ColumnRef(silver, name), kind)
    yield from (Edge(source, ColumnRef(silver, ""), kind) for source, kind in way.rows)
    yield from _row_edges(spec, values)


def _keys_and_versions(spec: TableSpec, values: Mapping[str, Sources]) -> dict[str, Sources]:
    """The columns that FlowForge adds: of the keys, and of what says which row is newer."""
    of_keys = merged((values[name] for name in spec.keys), "transformation")
    made = {spec.surrogate_key: of_keys} if spec.keys else {}
    if spec.strategy.keeps_history:
        moments = [values[name] for name in spec.sequence_by or ("_ingested_at",)]
        of_versions = merged([of_keys, *moments], "transformation")
        made |= dict.fromkeys((*spec.strategy.interval, spec.strategy.version_key), of_versions)
    return made


def _row_edges(spec: TableSpec, values: Mapping[str, Sources]) -> Iterator[Edge]:
    """What decides which rows silver has: the order of versions, deletes, and rules that hold rows back."""
    rows = ColumnRef(table_name(spec.id), "")
    holding = [rule for rule in spec.rules if rule.effective_action in REMOVES_ROWS]
    conditions = [one for one in (spec.strategy.delete_when, spec.strategy.truncate_when) if one]
    named = [*spec.sequence_by, *(name for one in conditions for name in columns_named(one))]
    named += [*([spec.strategy.within] if spec.strategy.within else [])]
    named += [name for rule in holding for name in _columns_of(rule)]
    for source in dict.fromkeys(source for name in named for source in values.get(name, {})):
        yield Edge(source, rows, "filter")
    for rule in holding:
        if rule.referenced_table is not None:
            other = table_name(TableId(spec.id.workflow, rule.referenced_table))
            for column in rule.referenced_columns:
                yield Edge(ColumnRef(other, column), rows, "filter")


def _columns_of(rule: Rule) -> Sequence[str]:
    return [*rule.columns_read, *(name for one in rule.conditions for name in columns_named(one))]


def model_edges(spec: ModelSpec, analysis: SqlAnalysis) -> Iterator[Edge]:
    """Into a gold table."""
    target = table_name(spec.id)
    moved = {one.column for one in spec.foreign_keys if one.on_orphan == "unknown"}
    for column, sources in analysis.origins.items():
        for one in sources:
            kind = stronger("transformation", one.kind) if column in moved else one.kind
            yield Edge(_read(spec, one), ColumnRef(target, column), kind)
    yield from (Edge(_read(spec, one), ColumnRef(target, ""), one.kind) for one in analysis.rows)
    for foreign in spec.foreign_keys:
        if foreign.on_orphan == "drop":
            decide = [_read(spec, one) for one in analysis.origins.get(foreign.column, ())]
            decide += [ColumnRef(table_name(spec.reads[foreign.model]), foreign.target)]
            yield from (Edge(one, ColumnRef(target, ""), "filter") for one in decide)


def _read(spec: ModelSpec, source: Source) -> ColumnRef:
    return ColumnRef(table_name(spec.read(source.table)), source.column)
