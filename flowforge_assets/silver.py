"""The silver asset of a table: bronze rows typed, judged, deduplicated and merged; the rest in quarantine.

Stage, audit, publish: everything is computed on local disk first, every check is known before anything is published,
and a failed blocking check publishes nothing, so that the same batch comes again in the next run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import dagster as dg

from flowforge_assets import column_notes
from flowforge_assets.partition_checks import by_partition
from flowforge_assets.partition_defs import backfill_policy, chosen_partitions, partitions_def, record
from flowforge_assets.partitioned_runs import let_partitioned_tables_read_each_other
from flowforge_assets.preview import preview_of, shown_columns
from flowforge_assets.silver_partitions import PartitionedBatch
from flowforge_assets.step import AssetFace, StepEvents, Stopwatch, check_spec, layer_asset, report, results
from flowforge_assets.strategies import Merge, judged, merge
from flowforge_assets.transforms.partition import narrow_to
from flowforge_assets.transforms.prepare import TRANSFORMS, Prepared, failures, prepare
from flowforge_assets.version_facts import rows_left_out, version_facts
from flowforge_checks.gate import KEYS_PRESENT, PARTITION, TYPE, Gate, of_partition, statements
from flowforge_checks.quarantine import held_rows, without_judged
from flowforge_checks.results import BOOKS, Outcome, of_books, of_count, still_true
from flowforge_checks.rules import BROKEN_ROWS, in_code
from flowforge_checks.uniqueness import keys_sharing, rows_sharing
from flowforge_resources.duck import connect, literal, one_row, quote
from flowforge_resources.errors import PartitionsOfOldDefinitionError, SurrogateKeyCollisionError
from flowforge_resources.io_managers import (
    StagedSilver,
    StagedState,
    covered_bronze_version,
    object_metadata,
    silver_table,
)
from flowforge_resources.layout import TableId
from flowforge_resources.ledger import read_ledger
from flowforge_resources.left_out import is_in, joined, left_out_of
from flowforge_resources.partitioned import StagedPartitions, finish, read_manifest
from flowforge_resources.published import Published, copy_with_facts, read_footer, read_published
from flowforge_resources.run_reports import AssetReport

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

    from flowforge_assets.table_spec import TableSpec
    from flowforge_checks.books import Books
    from flowforge_checks.gate import Statement
    from flowforge_checks.rules import Rule
    from flowforge_resources.lake import Lake
    from flowforge_resources.ledger import LedgerEntry
    from flowforge_resources.partitioned import Manifest
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
    chosen: tuple[str, ...] = ()
    manifest: Manifest | None = None

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
    partitions: PartitionedBatch | None = None

    @property
    def blocked(self) -> bool:
        """Whether a blocking check failed."""
        return any(outcome.blocks and not outcome.passed for outcome in self.outcomes)


def build_silver(spec: TableSpec, face: AssetFace) -> dg.AssetsDefinition:
    """The asset `[workflow, silver_<table>]` with one check a rule, and the books as a blocking check."""
    key = dg.AssetKey(spec.id.silver_key)
    declared = {
        "dagster/column_schema": column_notes.declared_silver(spec),
        "strategy": spec.strategy.kind,
        "key": dg.MetadataValue.md(in_code(spec.keys)),
        "newest_row": dg.MetadataValue.md(in_code(spec.sequence_by) if spec.sequence_by else "the one that came last"),
    }
    others = [TableId(spec.id.workflow, name).silver_key for name in spec.tables_read if name != spec.id.name]
    upstream = [spec.root.id.bronze_key, *others]
    if spec.partition_by and others:
        let_partitioned_tables_read_each_other()
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
        partitions=partitions_def(spec),
        backfill=backfill_policy(spec.partition_by),
    )


def _check_specs(spec: TableSpec, key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    held = BROKEN_ROWS["quarantine"]
    implied = []
    if spec.keys:
        implied.append(check_spec(KEYS_PRESENT, key, f"Key columns ({in_code(spec.keys)}) are never empty; {held}."))
    if spec.typed_columns:
        types = ", ".join(f"`{column.name}` {column.expected}" for column in spec.typed_columns)
        implied.append(check_spec(TYPE, key, f"Every value is of its column's declared type: {types}; {held}."))
    if failures(spec):
        said = f"Every transform can be computed for every row; {held}."
        implied.append(check_spec(TRANSFORMS, key, said))
    if _unlisted(spec):
        implied.append(check_spec(PARTITION, key, f"Every row is in one of the declared partitions; {held}."))
    if judged.needs_sequence(spec):
        implied.append(check_spec(judged.SEQUENCE_PRESENT, key, f"`{spec.sequence_by[0]}` is never empty; {held}."))
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
    batch = _batch_of_run(context, lake, spec)
    if not batch.entries and batch.published is not None and not batch.chosen:
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
            if staged.partitions is not None:
                said |= _record_partitions(context, spec, key, staged.partitions)
            yield dg.MaterializeResult(asset_key=key, value=staged.output, metadata=said)
        report(context, key, lake, _report(lake, spec, staged, watch, staged.books.rows_after))
        yield from results(context, key, staged.outcomes)


def _batch_of_run(context: dg.AssetExecutionContext, lake: Lake, spec: TableSpec) -> Batch:
    """What is new; or, where a person chose partitions, what those are made of."""
    if spec.partition_by is None:
        return next_batch(lake, spec)
    finish(lake, spec.id)
    if chosen := chosen_partitions(context):
        return chosen_batch(lake, spec, chosen)
    return next_batch(lake, spec)


def chosen_batch(lake: Lake, spec: TableSpec, chosen: tuple[str, ...]) -> Batch:
    """All of the bronze that the published version holds, to make some partitions of it anew.

    Of a table that never took its bronze, the chosen partitions are made of all there is now.

    Raises:
        PartitionsOfOldDefinitionError: the others were made by another definition.
    """
    manifest = read_manifest(lake, spec.id)
    if manifest is not None and manifest.facts["definition"] != spec.fingerprint:
        raise PartitionsOfOldDefinitionError(str(spec.id), spec.id.workflow)
    whole = read_ledger(lake, spec.id)
    upto = manifest.bronze_version if manifest else whole.version
    out = joined((*left_out_of(manifest.facts if manifest else {}), (upto + 1, whole.version)))
    entries = tuple(entry for entry in whole.data_after(0) if not is_in(entry.version, out))
    return Batch(
        entries,
        manifest.published() if manifest else None,
        upto,
        f"{len(chosen)} partition(s) were chosen",
        whole.superseded(out),
        upto,
        chosen=chosen,
        manifest=manifest,
    )


def next_batch(lake: Lake, spec: TableSpec) -> Batch:
    """The bronze that the published version does not hold yet; all of it where the table has to be made anew."""
    if spec.partition_by is None:
        return _next_batch(lake, spec, read_published(lake, spec.id.current))
    manifest = read_manifest(lake, spec.id)
    # A table that was in one piece so far goes on from there: its definition is another, so it is made anew.
    batch = _next_batch(lake, spec, manifest.published() if manifest else read_published(lake, spec.id.current))
    never_whole = manifest is not None and not manifest.complete
    anew = batch.anew or ("only chosen partitions of it were made so far" if never_whole else "")
    return replace(batch, manifest=manifest, anew=anew)


def _next_batch(lake: Lake, spec: TableSpec, published: Published | None) -> Batch:
    covered = covered_bronze_version(lake, spec.id, published) if published else 0
    later = read_ledger(lake, spec.root.id, after=covered)
    anew = ""
    if published is not None and published.facts.get("definition") != spec.fingerprint:
        anew = "the table's definition changed"
    elif covered and later.supersedes_after(covered):
        anew = "a file was uploaded again and superseded its earlier version"
    elif published is not None and (key := published.facts.get("state")) and lake.head(key) is None:
        anew = "what was remembered of its keys is gone"
    if anew or not covered:
        whole = later if not covered else read_ledger(lake, spec.root.id)
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
        current = lake.stage_in(spec.id.current, scratch) if batch.merges_into and not spec.partition_by else None
        state = _remembered(lake, batch, scratch)
        reads = _referenced(lake, spec, scratch)
    with connect(scratch.root) as connection:
        if not bronze:
            bronze = [_empty_bronze(connection, spec, scratch)]
        with watch.phase("judge"):
            prepared = prepare(connection, spec, bronze, batch.retracted, reads=reads, scratch=scratch)
            if batch.chosen:
                narrow_to(connection, spec, batch.chosen)
            types = {column.name: column.expected for column in spec.typed_columns}
            ruled = judged.judged(spec, statements(spec.keys, types, spec.rules, reads))
            told = [*ruled, *prepared.statements, *_unlisted(spec)]
            gate = Gate(connection, told, spec.keys)
            counts = gate.counts([column.name for column in spec.columns if not column.pii])
        parts = _partitions(lake, spec, batch, scratch)
        if parts is not None:
            with watch.phase("touched"):
                touched = parts.fetch_touched(connection, gate)
        with watch.phase("merge"):
            merged = merge(connection, spec, gate, touched if parts else [current] if current else [], state)
            merged = replace(merged, books=prepared.account(connection, merged.books))
        with watch.phase("write"):
            output = _write(
                connection,
                lake,
                spec,
                batch,
                merged=merged,
                gate=gate,
                prepared=prepared,
                scratch=scratch,
                run_id=run_id,
                parts=parts,
            )
        with watch.phase("audit"):
            table = output.path or (parts.sample() if parts else current)
            if table is None:
                raise AssertionError("a table without an earlier version is always written")
            books = parts.audited(merged.books) if parts else _with_rows_after(merged.books, table)
            _refuse_collisions(connection, spec, table, books.rows_after)
            row_rules = [of_count(count) for count in counts]
            if parts is not None:
                row_rules = by_partition(spec, gate, row_rules)
            outcomes = [*row_rules, *_table_rules(connection, spec, parts or table), of_books(books)]
            shown = parts.sample() if parts else table
            preview = preview_of(connection, shown, shown_columns(spec), spec.pii)
    return Staged(output, books, tuple(outcomes), preview, parts)


def _partitions(lake: Lake, spec: TableSpec, batch: Batch, scratch: Scratch) -> PartitionedBatch | None:
    if spec.partition_by is None:
        return None
    return PartitionedBatch(lake, spec, batch.manifest, scratch, anew=batch.replay, chosen=batch.chosen)


def _unlisted(spec: TableSpec) -> list[Statement]:
    """The statement that a row is in one of the declared partitions, where other values have none."""
    by = spec.partition_by
    broken = by.unlisted(spec.root.id.landing) if by else None
    return [of_partition(by.column, broken)] if by and broken else []


def _remembered(lake: Lake, batch: Batch, scratch: Scratch) -> Path | None:
    """Local file of what was remembered beside the version the batch is merged into."""
    key = batch.merges_into.facts.get("state") if batch.merges_into else None
    return lake.stage_in(key, scratch) if key else None


def _empty_bronze(connection: duckdb.DuckDBPyConnection, spec: TableSpec, scratch: Scratch) -> Path:
    """A bronze file without a row, so that a table whose files were all empty still gets published, with its columns."""
    path = scratch.path(".parquet")
    columns = ", ".join(f"NULL::VARCHAR AS {quote(name)}" for name in spec.root.landed_headers)
    audit = "NULL::VARCHAR AS _source_file, NULL::BIGINT AS _row_number, NULL::TIMESTAMP AS _ingested_at"
    connection.execute(f"COPY (SELECT {columns}, {audit} WHERE FALSE) TO {literal(str(path))} (FORMAT parquet)")
    return path


def _referenced(lake: Lake, spec: TableSpec, scratch: Scratch) -> dict[str, str]:
    """Local files of the silver tables that rules and lookups look into."""
    found = {}
    for name in spec.tables_read:
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
    prepared: Prepared,
    scratch: Scratch,
    run_id: str,
    parts: PartitionedBatch | None = None,
) -> StagedSilver:
    facts, state = version_facts(spec, batch, merged.books, run_id), None
    if parts is not None:
        path = parts.write(connection, merged.select, facts, changed=merged.changed)
    else:
        path = scratch.path(".parquet") if merged.changed or batch.replay else None
        if path is not None:
            state = _write_state(connection, spec, merged, facts, scratch)
            connection.execute(copy_with_facts(merged.select, path, facts | ({"state": state.key} if state else {})))
    quarantine_path, held = None, read_published(lake, spec.id.quarantine)
    if merged.books.quarantined or (batch.replay and held):
        quarantine_path = scratch.path(".parquet")
        stays = batch.chosen or batch.left_out or not batch.replay
        earlier = lake.stage_in(spec.id.quarantine, scratch) if held and stays else None
        if earlier is not None and batch.replay and not batch.chosen:
            earlier = rows_left_out(connection, earlier, batch.left_out, scratch)
        if earlier is not None and batch.chosen:
            earlier = without_judged(connection, earlier, prepared.row_id, scratch.path(".parquet"))
        rows = held_rows(
            gate, prepared.row_id, prepared.headers, run_id, earlier, sources=spec.sources, landed_of=prepared.landed_of
        )
        connection.execute(copy_with_facts(rows, quarantine_path, {"nonce": uuid4().hex, "run_id": run_id}))
    notes = column_notes.of_silver(spec)
    return StagedSilver(
        spec.id,
        batch.published,
        path,
        held,
        quarantine_path,
        batch.upto_version,
        notes,
        spec.retention,
        state=state,
        partitions=parts.staged if parts else None,
    )


def _write_state(
    connection: duckdb.DuckDBPyConnection, spec: TableSpec, merged: Merge, facts: dict[str, Any], scratch: Scratch
) -> StagedState | None:
    """What has to be remembered beside the version of some facts."""
    if merged.state is None:
        return None
    key = spec.id.state(datetime.fromisoformat(facts["published_at"]), facts["nonce"])
    state = StagedState(key, scratch.path(".parquet"))
    connection.execute(copy_with_facts(merged.state, state.path, {"nonce": facts["nonce"]}))
    return state


def _with_rows_after(books: Books, table: Path) -> Books:
    return replace(books, rows_after=read_footer(table)[1])


def _refuse_collisions(connection: duckdb.DuckDBPyConnection, spec: TableSpec, table: Path, rows: int) -> None:
    """Natural keys differ from row to row (with history, from version to version), and so must surrogate keys."""
    if not spec.keys:
        return
    unique = spec.strategy.version_key if spec.strategy.keeps_history else spec.surrogate_key
    if double := rows_sharing(connection, table, [unique], rows):
        raise SurrogateKeyCollisionError(str(spec.id), unique, double)
    if spec.strategy.keeps_history and (double := keys_sharing(connection, table, spec.keys, spec.surrogate_key)):
        raise SurrogateKeyCollisionError(str(spec.id), spec.surrogate_key, double)


def _table_rules(
    connection: duckdb.DuckDBPyConnection, spec: TableSpec, table: Path | PartitionedBatch
) -> list[Outcome]:
    rules = [rule for rule in spec.rules if rule.judges == "table"]
    if not rules:
        return []
    if isinstance(table, PartitionedBatch):
        whole = table.whole_table(connection)
    else:
        whole = f"read_parquet({literal(str(table))})"
    return [_judge_table(connection, rule, whole) for rule in rules]


def _judge_table(connection: duckdb.DuckDBPyConnection, rule: Rule, table: str) -> Outcome:
    """A rule about the whole table, asked of the version that is about to be published."""
    query = rule.valid({}).format(table=table)
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
    manifest = batch.manifest
    kept = StagedPartitions(manifest, {}, manifest.facts, manifest.columns) if manifest else None
    return StagedSilver(spec.id, batch.published, None, None, None, batch.upto_version, partitions=kept)


def _unchanged(lake: Lake, spec: TableSpec, published: Published, watch: Stopwatch) -> dict[str, Any]:
    return {"read": 0, **_as_published(lake, spec, published), "changed": False, **watch.metadata()}


def _as_published(lake: Lake, spec: TableSpec, published: Published) -> dict[str, Any]:
    """What the IO manager says of a new version, for a run that leaves the old one."""
    uri = lake.uri(spec.id.silver if spec.partition_by else spec.id.current)
    notes = column_notes.of_silver(spec)
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


def _record_partitions(
    context: dg.AssetExecutionContext, spec: TableSpec, key: dg.AssetKey, parts: PartitionedBatch
) -> dict[str, Any]:
    """Note what became of each touched partition, and say of the table how many there were.

    Dagster itself notes the partitions a person chose.
    """
    touched = parts.touched()
    if parts.chosen:
        for name in parts.chosen:
            context.add_asset_metadata(touched.get(name, {}), asset_key=key, partition_key=name)
        unlisted: list[str] = []
    else:
        unlisted = record(context, spec, key, touched)
    said = {"partitions_written": len(touched), "partitions_searched": parts.searched}
    return said | ({"partitions_not_listed": ", ".join(unlisted[:100])} if unlisted else {})


def _report(lake: Lake, spec: TableSpec, staged: Staged | None, watch: Stopwatch, rows: int) -> AssetReport:
    return AssetReport(
        asset=spec.id.silver_key[-1],
        layer="silver",
        uri=lake.uri(spec.id.silver if spec.partition_by else spec.id.current),
        published=staged is not None and staged.output.path is not None and not staged.blocked,
        blocked=staged.blocked if staged else False,
        rows=rows,
        seconds=round(watch.seconds, 3),
        books=staged.books.as_dict() if staged else {},
        checks=tuple(outcome.report() for outcome in staged.outcomes) if staged else (),
    )
