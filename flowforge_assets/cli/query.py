"""SQL over the lake's tables by name. Only the tables a statement names are opened, and of those only what it reads."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowforge_resources.duck import connect, quote
from flowforge_resources.errors import FlowForgeError, did_you_mean
from flowforge_resources.io_managers import StoredTable, silver_table
from flowforge_resources.lake import Lake
from flowforge_resources.layout import ModelId, TableId
from flowforge_resources.ledger import read_ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import duckdb
    import polars as pl
    from rich.console import RenderableType

BRONZE, QUARANTINE = "_bronze", "_quarantine"


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
        count = f"{len(self.rows):,} rows" if len(self.rows) <= limit else f"first {limit} of {len(self.rows):,} rows"
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


def run_query(sql: str, lake: Lake | None = None) -> Answer:
    """Run one statement.

    Raises:
        QueryError: it does not parse, names an unknown table, or fails.
    """
    import duckdb

    opened = lake or Lake()
    with opened.scratch() as scratch, connect(scratch.root) as connection:
        try:
            for name in sorted(connection.get_table_names(sql, qualified=True)):
                _open(connection, opened, name)
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


def tables_of(lake: Lake) -> dict[str, Callable[[], pl.LazyFrame]]:
    """Every published table by the name SQL calls it, and how to open it. Two small listings a workflow."""
    found: dict[str, Callable[[], pl.LazyFrame]] = {}
    for workflow in lake.folders("silver/"):
        for name in lake.folders(f"silver/{workflow}/"):
            table = TableId(workflow, name)
            found[f"{workflow}.{name}"] = silver_table(lake, table).scan
            found[f"{workflow}{BRONZE}.{name}"] = _bronze(lake, table)
    for workflow in lake.folders("quarantine/"):
        for name in lake.folders(f"quarantine/{workflow}/"):
            table = TableId(workflow, name)
            found[f"{workflow}{QUARANTINE}.{name}"] = _published(lake, table.quarantine, str(table), table.silver_key)
    for workflow in lake.folders("gold/"):
        for stored in lake.objects(f"gold/{workflow}/"):
            model = ModelId(workflow, stored.key.rsplit("/", 1)[-1].removesuffix(".parquet"))
            found[str(model)] = _published(lake, model.object, str(model), model.key)
    return found


def _published(lake: Lake, key: str, name: str, asset: tuple[str, str]) -> Callable[[], pl.LazyFrame]:
    return StoredTable(lake, key, name, "/".join(asset)).scan


def _bronze(lake: Lake, table: TableId) -> Callable[[], pl.LazyFrame]:
    """All bronze of a table that counts: what a file's newer version superseded is left out."""

    def scan() -> pl.LazyFrame:
        import polars as pl

        ledger = read_ledger(lake, table)
        superseded = ledger.superseded()
        frames = []
        for entry in ledger.data_after(0):
            rows = _published(lake, entry.bronze_file or "", str(table), table.bronze_key)()
            retracted = [key for version, key in superseded if version == entry.version]
            frames.append(rows.filter(~pl.col("_source_file").is_in(retracted)) if retracted else rows)
        return pl.concat(frames, how="diagonal")

    return scan


def _open(connection: duckdb.DuckDBPyConnection, lake: Lake, written: str) -> None:
    """Make one table of the lake visible under the name the statement uses; names it does not know are DuckDB's."""
    name = written.replace('"', "")
    schema, _, table = name.rpartition(".")
    tables: Mapping[str, Callable[[], pl.LazyFrame]] = tables_of(lake)
    if name not in tables:
        if schema and not schema.startswith(("information_schema", "pg_catalog")):
            raise QueryError(f"There is no table '{name}' on the lake {lake.url}.{did_you_mean(name, tables)}")
        return
    handle = f"_{schema}__{table}"
    connection.register(handle, tables[name]())
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}")
    connection.execute(f"CREATE VIEW {quote(schema)}.{quote(table)} AS FROM {quote(handle)}")
