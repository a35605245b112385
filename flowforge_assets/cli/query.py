"""SQL over the lake's tables by name. Only the tables a statement names are opened, and of those only what it reads."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from flowforge_assets.cli.as_of import parse_as_of, refuse_as_of, silver_as_of
from flowforge_resources.bronze_rows import scan_bronze
from flowforge_resources.duck import connect, literal, quote
from flowforge_resources.errors import FlowForgeError, did_you_mean
from flowforge_resources.gold_sets import chosen_keys, read_set
from flowforge_resources.io_managers import StoredTable, silver_table
from flowforge_resources.lake import Lake
from flowforge_resources.layout import ModelId, TableId, gold_prefix
from flowforge_resources.quarantine_decisions import read_decisions, trail_schema
from flowforge_resources.reconciliation_history import reconciliations, require_results

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import duckdb
    import polars as pl
    from rich.console import RenderableType

    from flowforge_assets.cli.as_of import Opener

BRONZE, QUARANTINE, DECISIONS, RECONCILIATION = "_bronze", "_quarantine", "_decisions", "_reconciliation"


class QueryError(FlowForgeError):
    """The statement cannot be run."""


@dataclass(frozen=True)
class Answer:
    """Names and rows of a result."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def as_dicts(self) -> list[dict[str, Any]]:
        """Rows as mappings, for JSON."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def to_csv(self) -> str:
        """CSV with a header; the same rows give the same bytes on every lake."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(self.rows)
        return text.getvalue()

    def to_table(self, limit: int, width: int) -> RenderableType:
        """For the terminal: a table, or one row after the other where a table would not fit."""
        from rich.console import Group

        shown = self.rows[:limit]
        fits = sum(self._widths(shown)) + 3 * len(self.columns) <= width
        body = [self._grid(shown)] if fits else [self._record(number, row) for number, row in enumerate(shown, 1)]
        found = f"{len(self.rows):,} row{'' if len(self.rows) == 1 else 's'}"
        count = found if len(self.rows) <= limit else f"first {limit} of {found}"
        return Group(*body, f"[dim]{count}[/]")

    def _widths(self, rows: Sequence[tuple[Any, ...]]) -> list[int]:
        columns = zip(self.columns, *rows, strict=True)
        return [max(len("" if value is None else str(value)) for value in column) for column in columns]

    def _grid(self, rows: Sequence[tuple[Any, ...]]) -> RenderableType:
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        table = Table(*self.columns, box=SIMPLE_HEAD)
        for row in rows:
            table.add_row(*(Text("" if value is None else str(value), justify=_side(value)) for value in row))
        return table

    def _record(self, number: int, row: tuple[Any, ...]) -> RenderableType:
        from rich.table import Table
        from rich.text import Text

        table = Table(title=f"row {number}", title_justify="left", box=None, show_header=False)
        for name, value in zip(self.columns, row, strict=True):
            table.add_row(Text(name, style="bold"), Text("" if value is None else str(value)))
        return table


def _side(value: object) -> Any:
    return "right" if isinstance(value, int | float) or type(value).__name__ == "Decimal" else "left"


def run_query(sql: str, lake: Lake | None = None, as_of: str | None = None) -> Answer:
    """Run one statement; `as_of`: on the tables as they were at a moment, or at a version of the one it reads.

    Raises:
        QueryError: it does not parse, names an unknown table, or fails.
    """
    import duckdb

    opened = lake or Lake()
    with opened.scratch() as scratch, connect(scratch.root) as connection:
        try:
            names = sorted(_names_in(connection, sql))
            tables = tables_of(opened, names) if names else {}
            if as_of is not None:
                tables |= _as_of(opened, as_of, [name for name in names if name in tables])
            for name in names:
                _open(connection, opened, tables, name)
            result = connection.execute(sql)
            columns = tuple(column[0] for column in result.description or [])
            return Answer(columns, tuple(result.fetchall()))
        except duckdb.Error as error:
            raise QueryError(
                f"{str(error).strip()}\nNothing was changed. Tables are named like {_example(opened)}."
            ) from None


def _example(lake: Lake) -> str:
    names = sorted(name for name in tables_of(lake) if BRONZE not in name and QUARANTINE not in name)
    return ", ".join(names[:3]) if names else "workflow.table (nothing is published yet)"


def _names_in(connection: duckdb.DuckDBPyConnection, sql: str) -> set[str]:
    """The tables a statement names, as `schema.table`.

    From its syntax tree: DuckDB's own `get_table_names` (2.0) binds, and fails on `JOIN … USING`. What has no tree, as
    `DESCRIBE`, is asked of that.
    """
    tree = json.loads(connection.execute(f"SELECT json_serialize_sql({literal(sql)})").fetchall()[0][0])
    if tree["error"]:
        named = connection.get_table_names(sql, qualified=True)
        return {name.split(" AS ", 1)[0].replace('"', "") for name in named}
    return set(_named(tree["statements"]))


def _named(node: Any) -> Iterator[str]:
    inside = node if isinstance(node, list) else node.values() if isinstance(node, dict) else ()
    if isinstance(node, dict) and node.get("type") == "BASE_TABLE":
        yield ".".join(name for name in (node["schema_name"], node["table_name"]) if name)
    for part in inside:
        yield from _named(part)


def _as_of(lake: Lake, as_of: str, names: Sequence[str]) -> dict[str, Opener]:
    """How to open some tables as they were."""
    at = parse_as_of(as_of, [name for name in names if _silver(lake, name)])
    found: dict[str, Opener] = {}
    for name in names:
        schema, _, table = name.rpartition(".")
        if _silver(lake, name):
            found[name] = silver_as_of(lake, TableId(schema, table), at)
        elif schema.endswith(BRONZE) and isinstance(at, datetime):
            found[name] = _bronze(lake, TableId(schema.removesuffix(BRONZE), table), at)
        elif schema.endswith(BRONZE):
            found[name] = refuse_as_of(name, "bronze has no versions; give a moment.")
        else:
            kept = "quarantine keeps" if schema.endswith(QUARANTINE) else "gold tables keep"
            found[name] = refuse_as_of(name, f"{kept} no earlier versions. Ask the silver tables behind it.")
    return found


def _silver(lake: Lake, name: str) -> bool:
    schema, _, table = name.rpartition(".")
    silver = TableId(schema, table)
    return any(lake.head(key) is not None for key in (silver.current, silver.manifest))


def tables_of(lake: Lake, named: Iterable[str] = ()) -> dict[str, Opener]:
    """Every published table by the name SQL calls it, and how to open it. Two small listings a workflow.

    Gold is the set a workflow published last, so that tables read together belong together; `named` are those. Where
    no set was published yet, it is the single tables.
    """
    found: dict[str, Opener] = {}
    for workflow in lake.folders("silver/"):
        for name in lake.folders(f"silver/{workflow}/"):
            table = TableId(workflow, name)
            found[f"{workflow}.{name}"] = silver_table(lake, table).scan
            found[f"{workflow}{BRONZE}.{name}"] = _bronze(lake, table)
    for workflow in lake.folders("quarantine/"):
        for name in lake.folders(f"quarantine/{workflow}/"):
            table = TableId(workflow, name)
            found[f"{workflow}{QUARANTINE}.{name}"] = _published(lake, table.quarantine, str(table), table.silver_key)
            found[f"{workflow}{DECISIONS}.{name}"] = _decisions(lake, table)
    for workflow in lake.folders("reconciliation/"):
        for name in reconciliations(lake, workflow):
            found[f"{workflow}{RECONCILIATION}.{name}"] = partial(require_results, lake, workflow, name)
    workflows = lake.folders("gold/")
    sets = {one: found_set for one in workflows if (found_set := read_set(lake, one)) is not None}
    chosen = chosen_keys(sets, named)
    for workflow in workflows:
        for name, key in (sets[workflow].keys(workflow) if workflow in sets else _single(lake, workflow)).items():
            if name.startswith(f"{workflow}."):
                found[name] = _published(lake, chosen.get(name, key), name, ModelId(*name.split(".", 1)).key)
    return found


def _single(lake: Lake, workflow: str) -> dict[str, str]:
    """The gold tables of a workflow as they lie there, each the newest."""
    keys = [stored.key for stored in lake.files(gold_prefix(workflow)) if stored.key.endswith(".parquet")]
    return {f"{workflow}.{key.rsplit('/', 1)[-1].removesuffix('.parquet')}": key for key in keys}


def _published(lake: Lake, key: str, name: str, asset: tuple[str, str]) -> Opener:
    return StoredTable(lake, key, name, "/".join(asset)).scan


def _decisions(lake: Lake, table: TableId) -> Opener:
    """What was decided of a table's quarantined rows, a record for each row of each decision."""

    def scan() -> pl.LazyFrame:
        import polars as pl

        records = [record for one in read_decisions(lake, table) for record in one.as_rows()]
        return pl.LazyFrame(records, schema=trail_schema())

    return scan


def _bronze(lake: Lake, table: TableId, until: datetime | None = None) -> Opener:
    """All bronze of a table that counts, or counted at a moment."""

    def scan() -> pl.LazyFrame:
        found = scan_bronze(lake, table, until)
        return refuse_as_of(f"bronze of {table}", "nothing had been ingested yet.")() if found is None else found

    return scan


def _open(connection: duckdb.DuckDBPyConnection, lake: Lake, tables: Mapping[str, Opener], name: str) -> None:
    """Make one table of the lake visible under the name the statement uses; names it does not know are DuckDB's."""
    schema, _, table = name.rpartition(".")
    if name not in tables:
        if schema and not schema.startswith(("information_schema", "pg_catalog")):
            raise QueryError(f"There is no table '{name}' on the lake {lake.url}.{did_you_mean(name, tables)}")
        return
    handle = f"_{schema}__{table}"
    connection.register(handle, tables[name]())
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}")
    connection.execute(f"CREATE VIEW {quote(schema)}.{quote(table)} AS FROM {quote(handle)}")
