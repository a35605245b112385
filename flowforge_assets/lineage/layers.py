"""What each layer does to columns: landing to bronze, bronze to silver, silver and gold to gold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from flowforge_assets.column_types import Text
from flowforge_assets.lineage.edges import ColumnRef, Edge, Kind, TableNode, stronger
from flowforge_assets.model_sql.conditions import columns_named
from flowforge_assets.transforms.cast import AUDIT_TYPES, table_types
from flowforge_checks.rules import Expression
from flowforge_resources.layout import TableId
from flowforge_resources.published import word_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flowforge_assets.model_spec import ModelSpec
    from flowforge_assets.model_sql.analysis import SqlAnalysis
    from flowforge_assets.table_spec import TableSpec
    from flowforge_checks.rules import Rule
    from flowforge_resources.layout import ModelId

# What a column is made of: input column and what becomes of it.
Inputs = dict[str, Kind]


class Step(Protocol):
    """A transform between bronze and silver, as far as lineage is concerned."""

    def lineage(self) -> Mapping[str, tuple[Sequence[str], Kind]]:
        """Every column the step makes or changes: its input columns and what the step does to them."""


def landing_name(table: TableId) -> str:
    """Node of a table's landing files."""
    return f"{table.workflow}.landing_{table.name}"


def table_name(read: TableId | ModelId) -> str:
    """Node of a silver table or a model."""
    return ".".join(read.silver_key if isinstance(read, TableId) else read.key)


def table_nodes(spec: TableSpec, about: str) -> Iterator[TableNode]:
    """The landing files, bronze and silver of a table."""
    described = {column.name: column.description or "" for column in spec.columns}
    headers = {column.header: column for column in spec.columns}
    keys = frozenset(column.header for column in spec.columns if column.name in spec.keys)
    pii = frozenset(column.header for column in spec.columns if column.pii)
    landed = dict.fromkeys([name for one in spec.columns for name in (one.header, *one.aliases)], "text")
    yield TableNode(landing_name(spec.id), "landing", landed, keys, pii, description=f"Files `{spec.files}`.")
    bronze = ".".join(spec.id.bronze_key)
    yield TableNode(bronze, "bronze", dict.fromkeys(headers, "text") | _written(AUDIT_TYPES), keys, pii)
    yield TableNode(
        table_name(spec.id),
        "silver",
        _written(table_types(spec)),
        frozenset(spec.keys),
        spec.pii,
        description=about,
        notes=tuple(described.items()),
    )


def model_node(spec: ModelSpec, analysis: SqlAnalysis, about: str) -> TableNode:
    """A gold table."""
    columns = None if analysis.columns is None else _written(analysis.columns)
    unknown = frozenset(name for name in columns or {} if name not in analysis.origins)
    return TableNode(
        table_name(spec.id), "gold", columns, frozenset(spec.keys), spec.pii, unknown, about, tuple(spec.notes.items())
    )


def _written(types: Mapping[str, str]) -> dict[str, str]:
    return {name: word_for(kind) for name, kind in types.items()}


def table_edges(spec: TableSpec, steps: Sequence[Step] = ()) -> Iterator[Edge]:
    """From landing files to silver, through `steps` in order."""
    bronze, silver = ".".join(spec.id.bronze_key), table_name(spec.id)
    for column in spec.columns:
        for name in dict.fromkeys((column.header, *column.aliases)):
            yield _edge((landing_name(spec.id), name), (bronze, column.header), "identity")
    made: dict[str, Inputs] = through({column.header: {column.header: "identity"} for column in spec.columns}, steps)
    values: dict[str, Inputs] = {}
    for column in spec.columns:
        does: Kind = "identity" if isinstance(column.kind, Text) else "transformation"
        inputs = made.get(column.header, {})
        values[column.name] = {name: stronger(does, how) for name, how in inputs.items()}
    values[spec.surrogate_key] = {
        name: stronger("transformation", how) for key in spec.keys for name, how in values[key].items()
    }
    values |= {name: {name: "identity"} for name in AUDIT_TYPES}
    for name, inputs in values.items():
        for source, kind in inputs.items():
            yield _edge((bronze, source), (silver, name), kind)
    yield from _row_edges(spec, values)


def through(made: dict[str, Inputs], steps: Sequence[Step]) -> dict[str, Inputs]:
    """What columns are made of behind some steps."""
    found = dict(made)
    for step in steps:
        before = dict(found)
        for output, (inputs, does) in step.lineage().items():
            found[output] = {
                source: stronger(does, how) for one in inputs for source, how in before.get(one, {}).items()
            }
    return found


def _row_edges(spec: TableSpec, values: Mapping[str, Inputs]) -> Iterator[Edge]:
    """What decides which rows silver has: the order of versions, and rules that hold rows back."""
    bronze, rows = ".".join(spec.id.bronze_key), (table_name(spec.id), "")
    holding = [rule for rule in spec.rules if rule.effective_action == "quarantine"]
    named = [*spec.sequence_by, *(name for rule in holding for name in _columns_of(rule))]
    for source in dict.fromkeys(source for name in named for source in values.get(name, {})):
        yield _edge((bronze, source), rows, "filter")
    for rule in holding:
        if rule.referenced_table is not None:
            other = table_name(TableId(spec.id.workflow, rule.referenced_table))
            yield _edge((other, getattr(rule, "to", None) or rule.columns_read[0]), rows, "filter")


def _columns_of(rule: Rule) -> Sequence[str]:
    return columns_named(rule.sql) if isinstance(rule, Expression) else rule.columns_read


def model_edges(spec: ModelSpec, analysis: SqlAnalysis) -> Iterator[Edge]:
    """Into a gold table."""
    target = table_name(spec.id)
    for column, sources in analysis.origins.items():
        for one in sources:
            yield _edge((table_name(spec.reads[one.table]), one.column), (target, column), one.kind)
    for one in analysis.rows:
        yield _edge((table_name(spec.reads[one.table]), one.column), (target, ""), one.kind)


def _edge(source: tuple[str, str], target: tuple[str, str], kind: Kind) -> Edge:
    return Edge(ColumnRef(*source), ColumnRef(*target), kind)
