"""A batch computed on local disk: bronze rows prepared, judged and merged; the next version written and audited.

Belongs here: the phases of a silver run, and what it writes. Does not: which bronze it takes (`batch`), what is
asked of the finished table (`audit`), what is said of it (`report`).
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from flowforge_assets import column_notes
from flowforge_assets.partitions.checks import by_partition, unlisted
from flowforge_assets.preview import preview_of, shown_columns
from flowforge_assets.silver.audit import TableRules, refuse_collisions
from flowforge_assets.silver.books import Counting
from flowforge_assets.silver.extract_check import of_extract
from flowforge_assets.silver.partitions import PartitionedBatch
from flowforge_assets.silver.read_back import KNOWN, READ_BACK, note_known
from flowforge_assets.silver.version_facts import DECISIONS, rows_left_out, version_facts
from flowforge_assets.strategies import judged, merge
from flowforge_assets.strategies.beside import rows_beside
from flowforge_assets.transforms.cast import settled_rows
from flowforge_assets.transforms.partition import narrow_to
from flowforge_assets.transforms.picked import picked_rows
from flowforge_assets.transforms.prepare import prepare
from flowforge_assets.transforms.rows_that_count import rows_that_count
from flowforge_checks.decided import discards
from flowforge_checks.gate import Gate
from flowforge_checks.quarantine import DISCARDED, held_rows, without, without_judged
from flowforge_checks.results import blocks_publishing, of_count
from flowforge_checks.statements import relations, statements
from flowforge_checks.trend import continued, with_trend
from flowforge_resources.duck import connect, literal, quote
from flowforge_resources.io_managers import silver_table
from flowforge_resources.layout import TableId, utc_now
from flowforge_resources.partitioned import StagedPartitions
from flowforge_resources.published import copy_with_facts, read_footer, read_published
from flowforge_resources.silver_io_manager import StagedSilver, StagedState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import duckdb

    from flowforge_assets.running.step import Stopwatch
    from flowforge_assets.silver.batch import Batch
    from flowforge_assets.strategies import Merge
    from flowforge_assets.table_spec import TableSpec
    from flowforge_assets.transforms.prepare import Prepared
    from flowforge_checks.books import Books
    from flowforge_checks.gate import CheckCount
    from flowforge_checks.results import Outcome
    from flowforge_checks.trend import Trend
    from flowforge_resources.lake import Lake
    from flowforge_resources.published import Published
    from flowforge_resources.scratch import Scratch


@dataclass(frozen=True)
class Staged:
    """A computed batch: what to publish, and everything that is said about it."""

    output: StagedSilver
    books: Books
    outcomes: tuple[Outcome, ...]
    preview: str
    partitions: PartitionedBatch | None = None
    files: Sequence[Mapping[str, Any]] = ()
    released_from: Mapping[str, int] = field(default_factory=dict)

    @property
    def blocked(self) -> bool:
        """Whether a blocking check failed."""
        return blocks_publishing(self.outcomes)


def stage(
    lake: Lake,
    spec: TableSpec,
    batch: Batch,
    *,
    scratch: Scratch,
    watch: Stopwatch,
    run_id: str,
    began: datetime | None = None,
) -> Staged:
    """Compute a batch on local disk: 1. fetch, 2. judge, 3. merge, 4. write, 5. audit.

    `began`: when the run did, which is now for rules that ask how old something is.
    """
    with watch.phase("fetch"):
        fetched = _fetch(lake, spec, batch, scratch)
    with connect(scratch.root) as connection:
        staging = _Staging(lake, spec, batch, scratch, watch, run_id, began or utc_now(), connection, fetched)
        return staging.run()


@dataclass(frozen=True)
class _Fetched:
    """Local files: bronze, the published version and what was remembered beside it, and tables that are looked into."""

    bronze: list[Path]
    current: Path | None
    state: Path | None
    reads: dict[str, str]


def _fetch(lake: Lake, spec: TableSpec, batch: Batch, scratch: Scratch) -> _Fetched:
    bronze = [lake.stage_in(file.key, scratch) for file in batch.files if file.key != READ_BACK]
    if batch.read_back:
        bronze = [batch.read_back.fetch(lake, spec, scratch), *bronze]
    current = lake.stage_in(spec.id.current, scratch) if batch.merges_into and not spec.partition_by else None
    return _Fetched(bronze, current, _remembered(lake, batch, scratch), referenced(lake, spec, scratch))


@dataclass(frozen=True)
class _Judgement:
    """The prepared rows with the verdict on them; and, once they are merged, what each check counted."""

    prepared: Prepared
    gate: Gate
    counts: Sequence[CheckCount] = ()
    discarded: int = 0
    trend: Trend = field(default_factory=dict)


@dataclass(frozen=True)
class _Staging:
    """One batch on its way through the phases."""

    lake: Lake
    spec: TableSpec
    batch: Batch
    scratch: Scratch
    watch: Stopwatch
    run_id: str
    began: datetime
    connection: duckdb.DuckDBPyConnection
    fetched: _Fetched

    def run(self) -> Staged:
        bronze = self.fetched.bronze or [_empty_bronze(self.connection, self.spec, self.scratch)]
        with self.watch.phase("judge"):
            found = self._judge(bronze)
        parts = _partitions(self.lake, self.spec, self.batch, self.scratch)
        published = [self.fetched.current] if self.fetched.current else []
        if parts is not None:
            with self.watch.phase("touched"):
                published = parts.fetch_touched(self.connection, found.gate)
        with self.watch.phase("merge"):
            merged = self._merge(found, published)
            found = self._counted(found)
            merged = replace(merged, books=found.prepared.account(self.connection, merged.books, found.discarded))
        if self._only_casts and not (self.batch.chosen or self.spec.replays_events):
            found.gate.keep_broken_alone()
        with self.watch.phase("write"):
            output = self._write(merged, found, parts)
        with self.watch.phase("audit"):
            staged = self._audit(output, merged, found, parts)
        return replace(staged, released_from=found.prepared.laid_over.released_from(self.connection, found.gate))

    def _judge(self, bronze: list[Path]) -> _Judgement:
        spec, batch, connection, reads = self.spec, self.batch, self.connection, self.fetched.reads
        prepared = prepare(
            connection,
            spec,
            bronze,
            rows_that_count(batch.files, batch.retracted),
            reads=reads,
            scratch=self.scratch,
            decided=batch.decided,
        )
        if batch.chosen:
            narrow_to(connection, spec, batch.chosen)
            prepared = prepared.narrowed()
        types = {column.name: column.expected for column in spec.typed_columns}
        ruled = judged.judged(spec, statements(spec.keys, types, spec.rules, reads))
        told = prepared.laid_over.statements([*ruled, *prepared.statements, *unlisted(spec)])
        gate = Gate(connection, told, spec.keys, rows_beside(spec, self.fetched.current), prepared.landed_of)
        if batch.read_back:
            note_known(connection, gate, prepared.laid_over)
        return _Judgement(prepared, gate)

    def _merge(self, found: _Judgement, published: Sequence[Path]) -> Merge:
        return merge(
            self.connection,
            self.spec,
            found.gate,
            published,
            self.fetched.state,
            empty=self.batch.empty,
            known=KNOWN if self.batch.read_back else "",
        )

    def _counted(self, found: _Judgement) -> _Judgement:
        """What each check found. Its examples are among the rows that merging picked, where it did."""
        with picked_rows(self.connection):
            counts, discarded = _counts(found.gate, self.spec)
        trend = _trend(self.batch, counts, self.began)
        return replace(found, counts=counts, discarded=discarded, trend=trend)

    def _audit(self, output: StagedSilver, merged: Merge, found: _Judgement, parts: PartitionedBatch | None) -> Staged:
        spec, batch, connection = self.spec, self.batch, self.connection
        table = output.path or (parts.sample() if parts else self.fetched.current)
        if table is None:
            raise AssertionError("a table without an earlier version is always written")
        books = parts.audited(merged.books) if parts else _with_rows_after(merged.books, table)
        accounts = Counting(connection, spec, batch, found.gate, found.prepared, merged, books, parts).accounts()
        refuse_collisions(connection, spec, table, books.rows_after)
        row_rules = [with_trend(of_count(count), found.trend) for count in found.counts]
        if parts is not None:
            row_rules = by_partition(spec, found.gate, row_rules)
        if spec.strategy.takes_extracts:
            row_rules.append(of_extract(spec, batch.published.rows if batch.published else 0, merged))
        reads = relations(self.fetched.reads)
        asked = TableRules(connection, self.lake, spec, batch, self.scratch, reads, self.began)
        outcomes = (*row_rules, *asked.of(parts or table), accounts.outcome())
        shown = parts.sample() if parts else table
        preview = preview_of(connection, shown, shown_columns(spec), spec.pii)
        return Staged(output, books, outcomes, preview, parts, accounts.by_file())

    # -- writing ----------------------------------------------------------------------------------------------------

    def _write(self, merged: Merge, found: _Judgement, parts: PartitionedBatch | None) -> StagedSilver:
        spec, batch, connection = self.spec, self.batch, self.connection
        # Quarantine first: it keeps one core busy, and at the end of a long table there may be nothing else to run.
        quarantine_path, held = None, read_published(self.lake, spec.id.quarantine)
        if merged.books.quarantined or batch.discards or ((batch.replay or batch.read_back) and held):
            earlier = self.lake.stage_in(spec.id.quarantine, self.scratch) if held else None
            quarantine_path = self._write_quarantine(found, earlier)
        facts, state = version_facts(spec, batch, merged.books, self.run_id, found.trend), None
        if parts is not None:
            if batch.chosen:
                facts |= _state_of(batch.published)
            elif merged.changed or batch.replay:
                state = self._write_state(merged, facts)
                facts |= {"state": state.key} if state else {}
            path = parts.write(connection, merged.select, facts, changed=merged.changed)
        else:
            path = self.scratch.path(".parquet") if merged.changed or batch.replay or batch.read_back else None
            if path is not None:
                state = self._write_state(merged, facts)
                named = facts | ({"state": state.key} if state else {})
                with self._proven():
                    connection.execute(copy_with_facts(merged.select, path, named))
        return StagedSilver(
            spec.id,
            batch.published,
            path,
            held,
            quarantine_path,
            batch.upto_version,
            column_notes.of_silver(spec),
            spec.retention,
            state=state,
            partitions=parts.staged if parts else None,
        )

    def _proven(self) -> AbstractContextManager[None]:
        """What is written has passed the gate, so that its text casts; unless a person let it pass, or it is a delete."""
        if not self._only_casts:
            return nullcontext()
        ascii_blanks = all(part.ascii_blanks for part in self.batch.entries)
        return settled_rows(self.connection, self.spec, ascii_blanks=ascii_blanks)

    @property
    def _only_casts(self) -> bool:
        """Whether every row of the batch is a landed one, cast, judged here and now, and nothing but values."""
        spec, batch = self.spec, self.batch
        values_alone = not (spec.transformed or spec.strategy.marks_operations)
        return values_alone and batch.decided is None and not batch.read_back

    def _write_quarantine(self, found: _Judgement, held: Path | None) -> Path:
        """The rows that wait: those of this batch, and of those `held` so far what it does not judge again."""
        batch, connection, scratch = self.batch, self.connection, self.scratch
        path = scratch.path(".parquet")
        stays = held
        if held is not None and (batch.chosen or batch.read_back):
            stays = without_judged(connection, held, scratch.path(".parquet"))
        elif held is not None and batch.replay:
            stays = rows_left_out(connection, held, batch.left_out, scratch) if batch.left_out else None
        if stays is not None and (gone := discards(batch.decisions)):
            stays = without(connection, stays, gone, scratch.path(".parquet"))
        prepared, laid_over = found.prepared, found.prepared.laid_over
        with picked_rows(connection):
            rows = held_rows(
                connection,
                found.gate,
                prepared.row_id,
                prepared.headers,
                self.run_id,
                sources=self.spec.sources,
                current=stays,
                earlier=held,
                landed_of=prepared.landed_of,
                raw=laid_over.raw,
                discarded=laid_over.discards,
            )
            upto = {DECISIONS: batch.decisions[-1].version} if batch.decisions else {}
            said = {"nonce": uuid4().hex, "run_id": self.run_id, **upto}
            connection.execute(copy_with_facts(rows, path, said))
        return path

    def _write_state(self, merged: Merge, facts: dict[str, Any]) -> StagedState | None:
        """What has to be remembered beside the version of some facts."""
        if merged.state is None:
            return None
        key = self.spec.id.state(datetime.fromisoformat(facts["published_at"]), facts["nonce"])
        state = StagedState(key, self.scratch.path(".parquet"))
        self.connection.execute(copy_with_facts(merged.state, state.path, {"nonce": facts["nonce"]}))
        return state


def _counts(gate: Gate, spec: TableSpec) -> tuple[list[CheckCount], int]:
    """What each check found, and how many rows were discarded by a decision, which no check speaks of."""
    found = gate.counts([column.name for column in spec.columns if column.name not in spec.pii])
    discarded = sum(count.rows_broken for count in found if count.check == DISCARDED)
    return [count for count in found if count.check != DISCARDED], discarded


def _trend(batch: Batch, counts: Sequence[CheckCount], began: datetime) -> Trend:
    before = batch.published.facts if batch.published else {}
    return continued(before, counts, began.isoformat(timespec="seconds"))


def _partitions(lake: Lake, spec: TableSpec, batch: Batch, scratch: Scratch) -> PartitionedBatch | None:
    if spec.partition_by is None:
        return None
    decided = batch.read_back is not None
    return PartitionedBatch(
        lake, spec, batch.manifest, scratch, anew=batch.replay, chosen=batch.chosen, decided=decided
    )


def _remembered(lake: Lake, batch: Batch, scratch: Scratch) -> Path | None:
    """Local file of what was remembered beside the version the batch is merged into."""
    key = batch.merges_into.facts.get("state") if batch.merges_into else None
    return lake.stage_in(key, scratch) if key else None


def _state_of(published: Published | None) -> dict[str, Any]:
    """What is remembered beside the published version holds for its chosen partitions too: it is of the same bronze."""
    key = published.facts.get("state") if published else None
    return {"state": key} if key else {}


def _empty_bronze(connection: duckdb.DuckDBPyConnection, spec: TableSpec, scratch: Scratch) -> Path:
    """A bronze file without a row, so that a table whose files were all empty still gets published, with its columns."""
    path = scratch.path(".parquet")
    columns = ", ".join(f"NULL::VARCHAR AS {quote(name)}" for name in spec.root.landed_headers)
    audit = "NULL::VARCHAR AS _source_file, NULL::BIGINT AS _row_number, NULL::TIMESTAMP AS _ingested_at"
    connection.execute(f"COPY (SELECT {columns}, {audit} WHERE FALSE) TO {literal(str(path))} (FORMAT parquet)")
    return path


def referenced(lake: Lake, spec: TableSpec, scratch: Scratch) -> dict[str, str]:
    """Local files of the silver tables that rules and lookups look into."""
    found = {}
    for name in spec.tables_read:
        table = silver_table(lake, TableId(spec.id.workflow, name))
        table.require()
        found[name] = str(table.stage_in(scratch))
    return found


def _with_rows_after(books: Books, table: Path) -> Books:
    return replace(books, rows_after=read_footer(table)[1])


def nothing_new(spec: TableSpec, batch: Batch) -> StagedSilver:
    """What a run without new bronze publishes: at most that the version stands."""
    manifest = batch.manifest
    kept = StagedPartitions(manifest, {}, manifest.facts, manifest.columns) if manifest else None
    return StagedSilver(spec.id, batch.published, None, None, None, batch.upto_version, partitions=kept)
