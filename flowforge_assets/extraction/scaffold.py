"""A workflow's YAML, written from a source's tables: types, keys, references, and rules from constraints.

What the source promises becomes rules of action `keep` and severity `warn` where a broken one says something of the
source, and the default otherwise: nothing that the source holds is thought broken before it is.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowforge_assets.formats.file_read import own_names
from flowforge_resources.duck import quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowforge_assets.extraction.reflected import ReflectedColumn, ReflectedTable
    from flowforge_resources.databases.connection import ConnectionFields

# Of no declared size; DuckDB would take it for one of 18 digits.
_ANY_DECIMAL = "DECIMAL(38, 9)"
# Table, columns, other table, its columns.
Reference = tuple[str, tuple[str, ...], str, tuple[str, ...]]
_GROWS = ("updated_at", "modified_at", "last_modified", "changed_at", "update_time", "updated", "modified")
_SQLGLOT = {
    "postgresql": "postgres",
    "mysql": "mysql",
    "mariadb": "mysql",
    "mssql": "tsql",
    "oracle": "oracle",
    "sqlite": "sqlite",
}


def workflow_yaml(connection: ConnectionFields, dialect: str, tables: Sequence[ReflectedTable]) -> str:
    """The documents of a workflow that extracts these tables whole, each run."""
    places = _places(tables)
    kept = _without_circles(tables)
    head = [
        "type: flowforge_assets.components.Workflow",
        "attributes:",
        f"  description: {_flow(f'Tables of the connection {connection.name}.')}",
    ]
    documents = ["\n".join(head)]
    documents += [_table(connection, dialect, one, places, kept) for one in tables]
    return "\n---\n".join(documents) + "\n"


@dataclass(frozen=True)
class _Place:
    """What a table and its columns are called here."""

    name: str
    columns: Mapping[str, str]


def _places(tables: Sequence[ReflectedTable]) -> dict[str, _Place]:
    """By the tables' names there."""
    names = _names(tables)
    return {str(one.name): _Place(names[str(one.name)], _column_names(one.columns)) for one in tables}


def _names(tables: Sequence[ReflectedTable]) -> dict[str, str]:
    """Our name of each table; with its schema where two have one name."""
    found: dict[str, str] = {}
    for one in tables:
        name = _plain(one.name.name, "table")
        if name in found.values():
            name = _plain(str(one.name), "table")
        while name in found.values():
            name += "_2"
        found[str(one.name)] = name
    return found


def _plain(written: str, otherwise: str) -> str:
    """A name of small letters, digits and underscores."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", written)
    bare = unicodedata.normalize("NFKD", parted.casefold())
    letters = "".join(one for one in bare if not unicodedata.combining(one))
    name = re.sub(r"[^a-z0-9]+", "_", letters).strip("_")
    return name if name[:1].isalpha() else f"{otherwise}_{name}".rstrip("_")


def _without_circles(tables: Sequence[ReflectedTable]) -> set[Reference]:
    """The references that can be rules: to other tables that are there, and none that closes a circle."""
    there = {str(one.name) for one in tables}
    edges: dict[str, set[str]] = {}
    kept: set[Reference] = set()
    for one in tables:
        for columns, other, its in one.references:
            here, target = str(one.name), str(other)
            if target in there and target != here and not _reaches(edges, target, here):
                edges.setdefault(here, set()).add(target)
                kept.add((here, columns, target, its))
    return kept


def _reaches(edges: Mapping[str, set[str]], start: str, goal: str) -> bool:
    seen, todo = set(), [start]
    while todo:
        here = todo.pop()
        if here == goal:
            return True
        todo += [one for one in edges.get(here, ()) if one not in seen]
        seen.add(here)
    return False


def _table(
    connection: ConnectionFields,
    dialect: str,
    table: ReflectedTable,
    places: Mapping[str, _Place],
    kept: set[Reference],
) -> str:
    here = places[str(table.name)]
    ours, headers = here.columns, own_names([one.name for one in table.columns])
    lines = ["type: flowforge_assets.components.Table", "attributes:", f"  name: {here.name}"]
    if table.comment:
        lines.append(f"  description: {_flow(_no_template(table.comment))}")
    lines.append(f"  source: {_flow({'connection': connection.name, 'table': table.name.written})}")
    if grows := next((one.name for one in table.columns if one.name.lower() in _GROWS), None):
        lines.append(
            f"  # With an index on it, only what changed: add `cursor: {grows}` to source, and take delete_absent out."
        )
    lines += [
        "  columns:",
        *(
            f"    - {_flow(_column(one, ours[one.name], header))}"
            for one, header in zip(table.columns, headers, strict=True)
        ),
    ]
    if table.keys:
        lines += [f"  keys: {_flow([ours[one] for one in table.keys])}", "  extract: run", "  delete_absent: delete"]
    else:
        lines += ["  # The source declares no key: each run's rows replace the last one's.", "  strategy: full_refresh"]
    rules = [*_rules(table, places, kept), *_conditions(dialect, table, ours)]
    return "\n".join([*lines, *(["  rules:", *(f"    - {_flow(one)}" for one in rules)] if rules else [])])


def _column_names(columns: Sequence[ReflectedColumn]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in columns:
        name = _plain(one.name, "column")
        while name in found.values():
            name += "_2"
        found[one.name] = name
    return found


def _column(column: ReflectedColumn, name: str, header: str) -> dict[str, Any]:
    """A column under our name; `header`: what bronze calls it."""
    said: dict[str, Any] = {"name": name}
    if column.type != "text":
        said["type"] = column.type
    if name != header:
        said["source"] = header
    if column.comment:
        said["description"] = column.comment
    return said


def _rules(table: ReflectedTable, places: Mapping[str, _Place], kept: set[Reference]) -> list[dict[str, Any]]:
    ours = places[str(table.name)].columns
    # An empty text is null in silver, and a source that forbids null may well hold it.
    kept_from_null = [one.name for one in table.columns if not one.nullable and one.type != "text"]
    needed = [ours[name] for name in kept_from_null if name not in table.keys]
    rules: list[dict[str, Any]] = [{"rule": "not_null", "column": one} for one in needed]
    for one in table.columns:
        if one.allowed:
            rules.append({"rule": "allowed_values", "column": ours[one.name], "values": list(one.allowed)})
        elif one.longest and one.type == "text":
            rules.append({"rule": "length", "column": ours[one.name], "max": one.longest})
    rules += [{"rule": "unique", "columns": [ours[name] for name in one]} for one in table.unique]
    for columns, other, its in table.references:
        if (str(table.name), columns, str(other), its) in kept:
            rules.append({**_reference(columns, its, ours, places[str(other)]), "action": "keep", "severity": "warn"})
    return rules


def _reference(
    columns: tuple[str, ...], its: tuple[str, ...], ours: Mapping[str, str], other: _Place
) -> dict[str, Any]:
    """The rule of a foreign key; of several columns they are found together."""
    here, there = [ours[one] for one in columns], [other.columns[one] for one in its]
    if len(here) > 1:
        return {"rule": "references", "columns": here, "table": other.name, "to": there}
    said = {"rule": "references", "column": here[0], "table": other.name}
    return said | ({"to": there[0]} if there != here else {})


def _conditions(dialect: str, table: ReflectedTable, ours: Mapping[str, str]) -> list[dict[str, Any]]:
    """CHECK constraints that DuckDB understands as well."""
    found = []
    for number, written in enumerate(table.conditions, start=1):
        sql = _in_duckdb(dialect, written, table, ours)
        if sql is not None:
            found.append({"rule": "expression", "name": f"check_{number}", "sql": sql})
    return found


def _in_duckdb(dialect: str, written: str, table: ReflectedTable, ours: Mapping[str, str]) -> str | None:
    import duckdb
    import sqlglot
    from sqlglot import exp

    from flowforge_assets.column_types.parse import parse_type

    by_name = {name.lower(): ours[name] for name in ours} | dict(ours)
    try:
        tree = sqlglot.parse_one(written, read=_SQLGLOT.get(dialect, "duckdb"))
        for column in tree.find_all(exp.Column):
            exact = column.name if column.name in by_name else column.name.lower()
            column.set("this", exp.to_identifier(by_name[exact], quoted=True))
        for cast in tree.find_all(exp.Cast):
            if cast.to.this == exp.DataType.Type.DECIMAL and not cast.to.expressions:
                cast.set("to", exp.DataType.build(_ANY_DECIMAL))
        sql = tree.sql(dialect="duckdb")
    except (sqlglot.errors.SqlglotError, KeyError):
        return None
    kinds = ", ".join(f"{quote(ours[one.name])} {parse_type(one.type).sql_type}" for one in table.columns)
    with duckdb.connect() as connection:
        try:
            connection.execute(f"CREATE TABLE t ({kinds})")
            connection.execute(f"EXPLAIN SELECT * FROM t WHERE ({sql})::BOOLEAN")
        except duckdb.Error:
            return None
    return sql


def _no_template(text: str) -> str:
    """A text in which Dagster finds no template."""
    return re.sub(r"\{(?=[{%#])", "{ ", text)


def _flow(value: Any) -> str:
    """A value as one line of YAML."""
    import yaml

    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=1_000_000, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")
