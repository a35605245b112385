"""The asset `[workflow, "warehouse"]`: silver and the published gold set of a workflow as one DuckDB database.

The tables are copied, so that the file stands alone. It is built in scratch and swapped in whole; a reader that holds
the old one open goes on reading it. Silver is taken as gold was built from it, from the archive if it moved on since.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import dagster as dg

from flowforge_assets.gold.published import GOLD_PUBLISHED
from flowforge_assets.running.step import AssetFace, StepEvents, Stopwatch, set_asset
from flowforge_resources.duck import connect, literal, one_row, quote
from flowforge_resources.errors import ConcurrentPublishError
from flowforge_resources.gold_sets import GoldSet, read_set
from flowforge_resources.io_managers import silver_table
from flowforge_resources.layout import ModelId, TableId, warehouse_file, warehouse_note
from flowforge_resources.partitioned import find_manifest, objects_of, stage_in_partitions
from flowforge_resources.published import read_footer, read_published

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import duckdb

    from flowforge_checks.holding import GateGraph
    from flowforge_resources.lake import Lake
    from flowforge_resources.scratch import Scratch

WAREHOUSE = "warehouse"
_SNAPSHOTS_LOOKED_AT = 50


@dataclass(frozen=True)
class Described:
    """A table of the warehouse with what is said of it and its columns."""

    id: TableId | ModelId
    description: str | None
    notes: Mapping[str, str]


@dataclass(frozen=True)
class Member:
    """One table of one version of the warehouse."""

    schema: str
    table: TableId | ModelId
    nonce: str


class _GoneError(Exception):
    """A version of silver is neither current nor in the archive."""


def build_warehouse(
    workflow: str,
    tables: Sequence[Described],
    automation: dg.AutomationCondition[Any] | None,
    gates: GateGraph,
) -> dg.AssetsDefinition:
    """The asset that writes `gold/<workflow>/warehouse.duckdb`, behind the published set and all silver."""
    key = dg.AssetKey([workflow, WAREHOUSE])
    said = f"All silver and gold tables of {workflow} as one DuckDB database, swapped in whole when they changed."
    silver = [one.id.silver_key for one in tables if isinstance(one.id, TableId)]
    models = [(workflow, GOLD_PUBLISHED)] if len(silver) < len(tables) else []
    step = partial(_step, tables=tables, key=key)
    return set_asset(
        key, AssetFace(said, automation=automation, gates=gates), step, deps=[*silver, *models], kind="duckdb"
    )


def _step(context: dg.AssetExecutionContext, *, tables: Sequence[Described], key: dg.AssetKey) -> StepEvents:
    lake: Lake = context.resources.lake.open()
    workflow, watch = key.path[0], Stopwatch()
    said = refresh_warehouse(lake, workflow, tables, watch)
    if "waits_for" in said:
        context.log.warning("The warehouse of %s stays as it was: %s", workflow, said["waits_for"])
    uri = {"dagster/uri": lake.uri(warehouse_file(workflow))}
    yield dg.MaterializeResult(asset_key=key, metadata={**uri, **said, **watch.metadata()})


def refresh_warehouse(lake: Lake, workflow: str, tables: Sequence[Described], watch: Stopwatch) -> dict[str, Any]:
    """Build and swap in the warehouse if what it holds changed; returns what to say of it.

    Raises:
        ConcurrentPublishError: another run swapped it meanwhile.
    """
    published = read_set(lake, workflow)
    if published is None and any(isinstance(one.id, ModelId) for one in tables):
        return {"changed": False, "waits_for": "no gold set was published yet."}
    members = list(_members(lake, workflow, tables, published))
    built_from = _fingerprint(members, tables)
    there = lake.head(warehouse_file(workflow))
    note = json.loads(lake.read(warehouse_note(workflow)) or b"{}")
    if there is not None and note == {"built_from": built_from, "etag": there.etag}:
        return {"changed": False, "tables": len(members), "size_bytes": there.size_bytes}
    with lake.scratch() as scratch:
        try:
            with watch.phase("fetch"):
                files = {one: _fetch(lake, workflow, one, scratch) for one in members}
        except _GoneError as gone:
            return {"changed": False, "waits_for": f"{gone} moved on since gold was built; run {workflow} again."}
        with watch.phase("build"):
            path = _write(files, tables, scratch)
        swapped = lake.swap(path, warehouse_file(workflow), expected=there)
    if swapped is None:
        raise ConcurrentPublishError(f"the warehouse of {workflow}")
    lake.write(warehouse_note(workflow), json.dumps({"built_from": built_from, "etag": swapped.etag}).encode())
    return {"changed": True, "tables": len(members), "size_bytes": swapped.size_bytes}


def _members(lake: Lake, workflow: str, tables: Sequence[Described], published: GoldSet | None) -> Iterator[Member]:
    """Silver as the set was built from it, silver that no model reads as it is now, and the set."""
    known = published.silver if published else {}
    for one in tables:
        if isinstance(one.id, TableId):
            nonce = known.get(str(one.id))
            if nonce is None and (current := silver_table(lake, one.id).published()) is not None:
                nonce = current.nonce
            if nonce is not None:
                yield Member("silver", one.id, nonce)
    for name, nonce in (published.tables if published else {}).items():
        model = ModelId(*name.split(".", 1))
        yield Member("gold" if model.workflow == workflow else f"gold_{model.workflow}", model, nonce)


def _fingerprint(members: Sequence[Member], tables: Sequence[Described]) -> str:
    held = sorted((one.schema, str(one.table), one.nonce) for one in members)
    said = [(str(one.id), one.description, sorted(one.notes.items())) for one in tables]
    return sha256(repr((held, said)).encode()).hexdigest()[:16]


def _fetch(lake: Lake, workflow: str, member: Member, scratch: Scratch) -> Path:
    if isinstance(member.table, ModelId):
        return lake.stage_in(member.table.version(member.nonce, kept_by=workflow), scratch)
    return _fetch_silver(lake, member.table, member.nonce, scratch)


def _fetch_silver(lake: Lake, table: TableId, nonce: str, scratch: Scratch) -> Path:
    if (cut := find_manifest(lake, table, nonce)) is not None:
        return stage_in_partitions(lake, objects_of(cut), scratch)
    current = silver_table(lake, table).stage_in(scratch)
    if "*" not in current.name and read_footer(current)[0].get("nonce") == nonce:
        return current
    snapshots = sorted((found.key for found in lake.files(table.archive)), reverse=True)
    for key in snapshots[:_SNAPSHOTS_LOOKED_AT]:
        snapshot = read_published(lake, key)
        if snapshot is not None and snapshot.nonce == nonce:
            return lake.stage_in(key, scratch)
    raise _GoneError(f"silver of {table}")


def _write(files: Mapping[Member, Path], tables: Sequence[Described], scratch: Scratch) -> Path:
    """The database as a local file, checkpointed, with what is in it listed in `flowforge.tables`."""
    path, database = scratch.path(".duckdb"), quote(f"warehouse_{scratch.folder.name}")
    said = {one.id: one for one in tables}
    with connect(scratch.root) as connection:
        connection.execute(f"ATTACH {literal(str(path))} AS {database}")
        try:
            # In one transaction, else every statement waits for the disk: half the time of a small warehouse.
            connection.execute("BEGIN")
            try:
                _fill(connection, database, files, said)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
            connection.execute(f"CHECKPOINT {database}")
        finally:
            connection.execute(f"DETACH {database}")
    return path


def _fill(
    connection: duckdb.DuckDBPyConnection,
    database: str,
    files: Mapping[Member, Path],
    said: Mapping[TableId | ModelId, Described],
) -> None:
    for schema in sorted({"flowforge", *(one.schema for one in files)}):
        connection.execute(f"CREATE SCHEMA {database}.{quote(schema)}")
    columns = "schema_name TEXT, table_name TEXT, version TEXT, row_count BIGINT"
    connection.execute(f"CREATE TABLE {database}.flowforge.tables ({columns})")
    for member, file in files.items():
        target = f"{database}.{quote(member.schema)}.{quote(member.table.name)}"
        connection.execute(f"CREATE TABLE {target} AS FROM read_parquet({literal(str(file))})")
        rows = one_row(connection, f"SELECT count(*) FROM {target}")[0]
        found = connection.execute(f"DESCRIBE {target}").fetchall()
        row = ", ".join(map(literal, (member.schema, member.table.name, member.nonce, rows)))
        connection.execute(f"INSERT INTO {database}.flowforge.tables VALUES ({row})")
        for comment in _comments(target, said.get(member.table), [column for column, *_ in found]):
            connection.execute(comment)


def _comments(target: str, said: Described | None, columns: Sequence[str]) -> Iterator[str]:
    if said is None:
        return
    if said.description:
        yield f"COMMENT ON TABLE {target} IS {literal(said.description)}"
    for column, note in said.notes.items():
        if column in columns:
            yield f"COMMENT ON COLUMN {target}.{quote(column)} IS {literal(note)}"
