"""The silver asset of a table: bronze rows typed, judged, deduplicated and merged; the rest in quarantine.

Stage, audit, publish: everything is computed on local disk first, every check is known before anything is published,
and a failed blocking check publishes nothing, so that the same batch comes again in the next run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import dagster as dg

from flowforge_assets import column_notes
from flowforge_assets.preview import preview_of
from flowforge_assets.step import AssetFace, StepEvents, Stopwatch, check_spec, layer_asset, report, results
from flowforge_assets.transforms.cast import create_views, quarantine_id
from flowforge_assets.transforms.merge import Merge, merge
from flowforge_assets.version_facts import rows_left_out, version_facts
from flowforge_checks.gate import KEYS_PRESENT, TYPE, Gate, statements
from flowforge_checks.quarantine import held_rows
from flowforge_checks.results import BOOKS, Outcome, of_books, of_count, still_true
from flowforge_checks.rules import BROKEN_ROWS, in_code
from flowforge_checks.uniqueness import rows_sharing
from flowforge_resources.duck import connect, literal, one_row, quote
from flowforge_resources.errors import SurrogateKeyCollisionError
from flowforge_resources.io_managers import StagedSilver, covered_bronze_version, object_metadata, silver_table
from flowforge_resources.layout import TableId
from flowforge_resources.ledger import read_ledger
from flowforge_resources.left_out import is_in, left_out_of
from flowforge_resources.published import Published, copy_with_facts, read_footer, read_published
from flowforge_resources.run_reports import AssetReport

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import duckdb

    from flowforge_assets.table_spec import TableSpec
    from flowforge_checks.books import Books
    from flowforge_checks.rules import Rule
    from flowforge_resources.lake import Lake
    from flowforge_resources.ledger import LedgerEntry
    from flowforge_resources.scratch import Scratch


@dataclass(frozen=True)
class Batch:
    """The bronze a silver run has to take in, and what it is merged into.

    `covered`: the ledger version up to which the published version holds bronze. `left_out`: what a replay leaves out,
    because a rollback did.
    """

    entries: tuple[LedgerEntry, ...]
    published: Published | None
    upto_version: int
    anew: str = ""
    superseded: frozenset[tuple[int, str]] = frozenset()
    covered: int = 0
    left_out: tuple[LedgerEntry, ...] = ()

    @property
    def replay(self) -> bool:
        """Whether the table is made anew from all of bronze; `anew` says why."""
        return bool(self.anew)

    @property
    def retracted(self) -> list[tuple[int, str]]:
        """The content of the batch that no longer counts: position of its bronze file, and landing key."""
        places = {entry.version: place for place, entry in enumerate(self.entries)}
        return sorted((places[version], key) for version, key in self.superseded if version in places)

    @property
    def merges_into(self) -> Published | None:
        """The version the batch is merged into: none where the table is made anew."""
        return None if self.replay else self.published


@dataclass(frozen=True)
class Staged:
    """A computed batch: what to publish, and everything that is said about it."""

    output: StagedSilver
    books: Books
    outcomes: tuple[Outcome, ...]
    preview: str

    @property
    def blocked(self) -> bool:
        """Whether a blocking check failed."""
        return any(outcome.blocks and not outcome.passed for outcome in self.outcomes)


def build_silver(spec: TableSpec, face: AssetFace) -> dg.AssetsDefinition:
    """The asset `[workflow, silver_<table>]` with one check a rule, and the books as a blocking check."""
    key = dg.AssetKey(spec.id.silver_key)
    referenced = sorted({rule.referenced_table for rule in spec.rules if rule.referenced_table} - {spec.id.name})
    declared = {
        "dagster/column_schema": column_notes.declared_silver(spec),
        "key": dg.MetadataValue.md(in_code(spec.keys)),
        "newest_row": dg.MetadataValue.md(in_code(spec.sequence_by) if spec.sequence_by else "the one that came last"),
    }
    upstream = [spec.id.bronze_key, *(TableId(spec.id.workflow, name).silver_key for name in referenced)]
    return layer_asset(
        key,
        replace(face, metadata={**face.metadata, **declared}),
        lambda context: _take_batch(context, spec, key),
        layer="silver",
        engine="duckdb",
        deps=upstream,
        checks=_check_specs(spec, key),
        code_version=spec.fingerprint,
        pool=spec.id.pool,
    )


def _check_specs(spec: TableSpec, key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    held = BROKEN_ROWS["quarantine"]
    implied = [check_spec(KEYS_PRESENT, key, f"Key columns ({in_code(spec.keys)}) are never empty; {held}.")]
    if spec.typed_columns:
        types = ", ".join(f"`{column.name}` {column.expected}" for column in spec.typed_columns)
        implied.append(check_spec(TYPE, key, f"Every value is of its column's declared type: {types}; {held}."))
    ruled = [
        check_spec(rule.check_name, key, rule.about, blocks=rule.effective_action == "block") for rule in spec.rules
    ]
    return [
        *implied,
        *ruled,
        check_spec(BOOKS, key, "Every row read is in exactly one column of the account.", blocks=True),
    ]


def _take_batch(context: dg.AssetExecutionContext, spec: TableSpec, key: dg.AssetKey) -> StepEvents:
    lake: Lake = context.resources.lake.open()
    watch = Stopwatch()
    batch = next_batch(lake, spec)
    if not batch.entries and batch.published is not None:
        report(context, key, lake, _report(lake, spec, None, watch, batch.published.rows))
        if key in context.selected_asset_keys:
            said = _unchanged(lake, spec, batch.published, watch)
            yield dg.MaterializeResult(asset_key=key, value=_nothing_new(spec, batch), metadata=said)
        blocking = [rule.check_name for rule in spec.rules if rule.effective_action == "block"]
        yield from results(context, key, [still_true(name) for name in (*blocking, BOOKS)])
        return
    with lake.scratch() as scratch:
        staged = _stage(lake, spec, batch, scratch=scratch, watch=watch, run_id=context.run.run_id)
        if key in context.selected_asset_keys and not staged.blocked:
            said = _metadata(lake, spec, batch, staged, watch)
            yield dg.MaterializeResult(asset_key=key, value=staged.output, metadata=said)
        report(context, key, lake, _report(lake, spec, staged, watch, staged.books.rows_after))
        yield from results(context, key, staged.outcomes)


def next_batch(lake: Lake, spec: TableSpec) -> Batch:
    """The bronze that the published version does not hold yet; all of it where the table has to be made anew."""
    published = read_published(lake, spec.id.current)
    covered = covered_bronze_version(lake, spec.id, published) if published else 0
    later = read_ledger(lake, spec.id, after=covered)
    anew = ""
    if published is not None and published.facts.get("definition") != spec.fingerprint:
        anew = "the table's definition changed"
    elif covered and later.supersedes_after(covered):
        anew = "a file was uploaded again and superseded its earlier version"
    if anew or not covered:
        whole = later if not covered else read_ledger(lake, spec.id)
        undone = left_out_of(published.facts) if published else ()
        entries = whole.data_after(0)
        return Batch(
            tuple(entry for entry in entries if not is_in(entry.version, undone)),
            published,
            whole.version,
            anew,
            whole.superseded(undone),
            covered,
            tuple(entry for entry in entries if is_in(entry.version, undone)),
        )
    return Batch(tuple(later.data_after(covered)), published, later.version or covered, covered=covered)


def _stage(lake: Lake, spec: TableSpec, batch: Batch, *, scratch: Scratch, watch: Stopwatch, run_id: str) -> Staged:
    """Compute a batch on local disk: 1. fetch, 2. judge, 3. merge, 4. write, 5. audit."""
    with watch.phase("fetch"):
        bronze = [lake.stage_in(entry.bronze_file, scratch) for entry in batch.entries if entry.bronze_file]
        current = lake.stage_in(spec.id.current, scratch) if batch.merges_into else None
        reads = _referenced(lake, spec, scratch)
    with connect(scratch.root) as connection:
        if not bronze:
            bronze = [_empty_bronze(connection, spec, scratch)]
        with watch.phase("judge"):
            headers = create_views(connection, spec, bronze, batch.retracted)
            types = {column.name: column.expected for column in spec.typed_columns}
            gate = Gate(connection, statements(spec.keys, types, spec.rules, reads), spec.keys)
            counts = gate.counts([column.name for column in spec.columns if not column.pii])
        with watch.phase("merge"):
            merged = merge(connection, spec, gate, [current] if current else [])
        with watch.phase("write"):
            output = _write(
                connection, lake, spec, batch, merged=merged, gate=gate, headers=headers, scratch=scratch, run_id=run_id
            )
        with watch.phase("audit"):
            table = output.path or current
            if table is None:
                raise AssertionError("a table without an earlier version is always written")
            books = _with_rows_after(merged.books, table)
            _refuse_collisions(connection, spec, table, books.rows_after)
            outcomes = [*(of_count(count) for count in counts), *_table_rules(connection, spec, table), of_books(books)]
            preview = preview_of(connection, table, [column.name for column in spec.columns], spec.pii)
    return Staged(output, books, tuple(outcomes), preview)


def _empty_bronze(connection: duckdb.DuckDBPyConnection, spec: TableSpec, scratch: Scratch) -> Path:
    """A bronze file without a row, so that a table whose files were all empty still gets published, with its columns."""
    path = scratch.path(".parquet")
    columns = ", ".join(f"NULL::VARCHAR AS {quote(column.header)}" for column in spec.columns)
    audit = "NULL::VARCHAR AS _source_file, NULL::BIGINT AS _row_number, NULL::TIMESTAMP AS _ingested_at"
    connection.execute(f"COPY (SELECT {columns}, {audit} WHERE FALSE) TO {literal(str(path))} (FORMAT parquet)")
    return path


def _referenced(lake: Lake, spec: TableSpec, scratch: Scratch) -> dict[str, str]:
    """Local files of the silver tables that rules look into."""
    names = {rule.referenced_table for rule in spec.rules if rule.referenced_table}
    found = {}
    for name in sorted(names):
        table = silver_table(lake, TableId(spec.id.workflow, name))
        table.require()
        found[name] = str(table.stage_in(scratch))
    return found


def _write(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    spec: TableSpec,
    batch: Batch,
    *,
    merged: Merge,
    gate: Gate,
    headers: Sequence[str],
    scratch: Scratch,
    run_id: str,
) -> StagedSilver:
    path = scratch.path(".parquet") if merged.changed or batch.replay else None
    if path is not None:
        facts = version_facts(spec, batch, merged.books, run_id)
        connection.execute(copy_with_facts(merged.select, path, facts))
    quarantine_path, held = None, read_published(lake, spec.id.quarantine)
    if merged.books.quarantined or (batch.replay and held):
        quarantine_path = scratch.path(".parquet")
        earlier = lake.stage_in(spec.id.quarantine, scratch) if held and (batch.left_out or not batch.replay) else None
        if earlier is not None and batch.replay:
            earlier = rows_left_out(connection, earlier, batch.left_out, scratch)
        row_id = quarantine_id(str(spec.id), headers)
        rows = held_rows(gate, row_id, headers, run_id, earlier, sources=spec.sources)
        connection.execute(copy_with_facts(rows, quarantine_path, {"nonce": uuid4().hex, "run_id": run_id}))
    notes = column_notes.of_silver(spec)
    upto = batch.upto_version
    return StagedSilver(spec.id, batch.published, path, held, quarantine_path, upto, notes, spec.retention)


def _with_rows_after(books: Books, table: Path) -> Books:
    return replace(books, rows_after=read_footer(table)[1])


def _refuse_collisions(connection: duckdb.DuckDBPyConnection, spec: TableSpec, table: Path, rows: int) -> None:
    """Natural keys differ from row to row, so a surrogate key that does not has collided."""
    if double := rows_sharing(connection, table, [spec.surrogate_key], rows):
        raise SurrogateKeyCollisionError(str(spec.id), spec.surrogate_key, double)


def _table_rules(connection: duckdb.DuckDBPyConnection, spec: TableSpec, table: Path) -> list[Outcome]:
    return [_judge_table(connection, rule, table) for rule in spec.rules if rule.judges == "table"]


def _judge_table(connection: duckdb.DuckDBPyConnection, rule: Rule, table: Path) -> Outcome:
    """A rule about the whole table, asked of the version that is about to be published."""
    query = rule.valid({}).format(table=f"read_parquet({literal(str(table))})")
    broken = int(one_row(connection, query)[0])
    return Outcome(
        rule.check_name,
        passed=broken == 0,
        warns=rule.severity == "warn",
        blocks=rule.effective_action == "block",
        rows_broken=broken,
        description=f"{broken} rows: {rule.message}." if broken else None,
        metadata={"rows_broken": broken, "action": rule.effective_action},
    )


def _nothing_new(spec: TableSpec, batch: Batch) -> StagedSilver:
    return StagedSilver(spec.id, batch.published, None, None, None, batch.upto_version)


def _unchanged(lake: Lake, spec: TableSpec, published: Published, watch: Stopwatch) -> dict[str, Any]:
    return {"read": 0, **_as_published(lake, spec, published), "changed": False, **watch.metadata()}


def _as_published(lake: Lake, spec: TableSpec, published: Published) -> dict[str, Any]:
    """What the IO manager says of a new version, for a run that leaves the old one."""
    uri, notes = lake.uri(spec.id.current), column_notes.of_silver(spec)
    return object_metadata(uri, published.object.size_bytes, published.rows, published.columns, notes)


def _metadata(lake: Lake, spec: TableSpec, batch: Batch, staged: Staged, watch: Stopwatch) -> dict[str, Any]:
    """The account first, then what the table looks like, then where things are and how long they took."""
    changed = staged.output.path is not None
    kept = _as_published(lake, spec, batch.published) if batch.published and not changed else {}
    held = {"quarantine": lake.uri(spec.id.quarantine)} if staged.books.quarantined else {}
    return {
        **staged.books.as_dict(),
        "preview": dg.MetadataValue.md(staged.preview),
        **held,
        "bronze_files": dg.MetadataValue.md("\n".join(f"- `{entry.bronze_file}`" for entry in batch.entries)),
        **kept,
        "changed": changed,
        **({"made_anew": f"all of bronze, because {batch.anew}"} if batch.replay else {}),
        **watch.metadata(),
    }


def _report(lake: Lake, spec: TableSpec, staged: Staged | None, watch: Stopwatch, rows: int) -> AssetReport:
    return AssetReport(
        asset=spec.id.silver_key[-1],
        layer="silver",
        uri=lake.uri(spec.id.current),
        published=staged is not None and staged.output.path is not None and not staged.blocked,
        blocked=staged.blocked if staged else False,
        rows=rows,
        seconds=round(watch.seconds, 3),
        books=staged.books.as_dict() if staged else {},
        checks=tuple(outcome.report() for outcome in staged.outcomes) if staged else (),
    )
