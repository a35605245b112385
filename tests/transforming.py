"""A table's transforms over a few rows, without a lake or a run: for tests of what one transform does.

Belongs here: landing rows as bronze text and reading what the gate would judge. Does not: any expectation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
from pydantic import TypeAdapter

from flowforge_assets.formats.file_options import FileOptions
from flowforge_assets.table_spec import Column, TableSpec
from flowforge_assets.transforms.prepare import Prepared, prepare
from flowforge_assets.transforms.reshaping import AnyTransform
from flowforge_checks.books import Books
from flowforge_resources.layout import TableId, utc_now
from flowforge_resources.scratch import Scratch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

STEPS = TypeAdapter(list[AnyTransform])


@dataclass(frozen=True)
class Came:
    """What came out: the declared columns of each row in order of `_rid`, and what else the gate sees of it."""

    rows: list[dict[str, Any]]
    all_columns: list[dict[str, Any]]
    books: Books
    prepared: Prepared

    def column(self, name: str) -> list[Any]:
        """The values of one column."""
        return [row[name] for row in self.rows]


def table(steps: Sequence[Mapping[str, Any]], columns: Sequence[str | Mapping[str, Any]], **more: Any) -> TableSpec:
    """A table with transforms; a column is its name, or what YAML would say of it."""
    declared = tuple(Column(**({"name": one} if isinstance(one, str) else dict(one))) for one in columns)
    spec = TableSpec(
        id=TableId("shop", "things"),
        files="*",
        file=FileOptions(),
        columns=declared,
        keys=(declared[0].name,),
        sequence_by=(),
        surrogate_key="things_key",
        transforms=tuple(STEPS.validate_python(list(steps))),
    )
    return replace(spec, **more)


def came_of(
    folder: Path,
    rows: Sequence[Mapping[str, str | None]],
    spec: TableSpec,
    reads: Mapping[str, list[dict[str, Any]]] | None = None,
) -> Came:
    """Land rows (all of the first one's columns, text) and take them through a table's transforms."""
    folder.mkdir(parents=True, exist_ok=True)
    bronze = folder / "bronze.parquet"
    audit = {"_source_file": ["f.csv"] * len(rows), "_row_number": range(1, len(rows) + 1)}
    schema = dict.fromkeys(rows[0], pl.String)
    moment = pl.lit(utc_now().replace(tzinfo=None)).alias("_ingested_at")
    pl.DataFrame(list(rows), schema=schema).with_columns(**{k: pl.Series(v) for k, v in audit.items()}).with_columns(
        moment
    ).write_parquet(bronze)
    files = {}
    for name, others in (reads or {}).items():
        pl.DataFrame(others).write_parquet(folder / f"{name}.parquet")
        files[name] = str(folder / f"{name}.parquet")
    with duckdb.connect() as connection, Scratch(folder / "scratch") as scratch:
        connection.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false")
        prepared = prepare(connection, spec, [bronze], "", reads=files, scratch=scratch)
        found = connection.execute("SELECT * FROM typed ORDER BY _rid")
        names = [one[0] for one in found.description or []]
        every = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
        assert len({row["_rid"] for row in every}) == len(every)
        books = prepared.account(connection, Books(read=len(every)))
    wanted = [column.name for column in spec.columns]
    return Came([{name: row[name] for name in wanted} for row in every], every, books, prepared)
