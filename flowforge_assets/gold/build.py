"""Making a gold model's table on local disk, and judging it: whole, or the partitions that changed.

Belongs here: the query with all that is declared around it, and what the checks say of its result. Does not: which
partitions changed (`incremental`), or when a model is made (`asset`).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from flowforge_assets.gold.incremental import (
    FULL_TAG,
    MEMORY,
    combine,
    equal_outcome,
    plan_build,
    read_driving,
    require_version,
)
from flowforge_assets.gold.lookups import lookup_outcome, require_columns_in, with_lookups
from flowforge_assets.gold.model_spec import UNKNOWN_KEY, UNKNOWN_TEXT, ModelSpec
from flowforge_assets.gold.orphans import Orphans, count_orphans, own_rows, without_orphans
from flowforge_assets.gold.orphans_in_part import judged_orphans, remembers_orphans
from flowforge_assets.gold.rows_kept import Driving, rows_kept_outcome
from flowforge_assets.preview import preview_of
from flowforge_assets.reconciliation.reconciling import evaluate
from flowforge_assets.running.step import started_at
from flowforge_checks.results import Outcome, blocks_publishing
from flowforge_checks.rules import Judged
from flowforge_checks.statements import relations
from flowforge_checks.table_judge import judge, rows_of_file
from flowforge_checks.uniqueness import rows_sharing
from flowforge_resources.duck import connect, literal, one_row, quote
from flowforge_resources.io_managers import StoredTable, gold_table
from flowforge_resources.layout import utc_now
from flowforge_resources.published import Published, copy_with_facts, read_footer
from flowforge_resources.table_parts import TableParts, table_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    import dagster as dg
    import duckdb

    from flowforge_assets.gold.incremental import Plan
    from flowforge_assets.running.step import Stopwatch
    from flowforge_resources.lake import Lake
    from flowforge_resources.scratch import Scratch

KEY = "key"


@dataclass(frozen=True)
class Built:
    """A model's next version on local disk, and what its checks say."""

    path: Path
    rows: int
    outcomes: tuple[Outcome, ...]
    preview: str
    rows_dropped: int = 0
    said: Mapping[str, Any] = field(default_factory=dict)

    @property
    def blocked(self) -> bool:
        """Whether a blocking check failed."""
        return blocks_publishing(self.outcomes)


def build(
    spec: ModelSpec,
    inputs: Mapping[str, StoredTable],
    published: Published | None,
    *,
    lake: Lake,
    scratch: Scratch,
    watch: Stopwatch,
    context: dg.AssetExecutionContext,
) -> Built:
    """Make a model's table on local disk, whole or in part, and judge it.

    Args:
        spec: the model.
        inputs: the published tables it reads, by the names its SQL has for them.
        published: the version there is.
        lake: where they lie.
        scratch: where files go.
        watch: takes the times.
        context: of the run.
    """
    driving = spec.incremental.driving if spec.incremental else None
    with watch.phase("fetch"):
        staged = {name: table.stage_in_version(scratch) for name, table in inputs.items() if name != driving}
        parts = table_parts(lake, inputs[driving], scratch) if driving else None
    files = {name: path for name, (path, _) in staged.items()}
    # What was fetched, not what was there a moment before: a set of versions is only as true as this.
    fetched = {name: nonce or inputs[name].require().nonce for name, (_, nonce) in staged.items()}
    facts = {
        "table": str(spec.id),
        "nonce": uuid4().hex,
        "run_id": context.run.run_id,
        "published_at": utc_now().isoformat(),
        "built_from": {"": spec.fingerprint, **fetched, **({driving: parts.nonce} if driving and parts else {})},
    }
    with connect(scratch.root) as connection:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(spec.id.workflow)}")
        for name, file in files.items():
            _name_table(connection, spec.id.workflow, name, file)
        connection.execute(f"SET search_path = {literal(spec.id.workflow)}")

        def fetch_old() -> Path:
            return gold_table(lake, spec.id).stage_in(scratch)

        old = fetch_old if published is not None else None
        making = _Making(lake, connection, spec, files, facts, scratch, watch, started_at(context), old)
        if spec.incremental is None or parts is None:
            made = making.finish(making.write())
            return making.judge(made, [])
        with watch.phase("compare"):
            plan = plan_build(
                connection,
                spec,
                spec.incremental,
                published,
                parts=parts,
                others={name: (file, fetched[name]) for name, file in files.items()},
                scratch=scratch,
                requested=FULL_TAG in context.run.tags,
            )
        return _build_in_part(making, plan, parts, fetch_old, published)


def _build_in_part(
    making: _Making, plan: Plan, parts: TableParts, fetch_old: Callable[[], Path], published: Published | None
) -> Built:
    """The affected partitions with the rest of the old table; the whole one where that is due, or nothing else will do."""
    connection, spec, scratch = making.connection, making.spec, making.scratch
    view = _place(connection, spec.id.workflow, plan.declared.driving)
    in_part = None
    if plan.affected is not None and published is not None:
        with making.watch.phase("fetch"):
            old = require_version(fetch_old(), published, str(spec.id))
        read_driving(connection, view, plan, parts, scratch, whole=False)
        with making.watch.phase("query"):
            facts = {**making.facts, MEMORY: plan.memory_in_part}
            combined = combine(connection, plan, _select(connection, spec), old=old, facts=facts, scratch=scratch)
        if combined is None and not plan.proves:
            plan = replace(plan, affected=None, why="the new rows did not fit into the table built before.")
        elif combined is not None:
            in_part = making.finish(combined, plan, whole=False)
    making = replace(making, driving=_driving_in_parts(making, plan, parts))
    if in_part is not None and not plan.proves:
        return making.judge(in_part, [], plan)
    read_driving(connection, view, plan, parts, scratch, whole=True)
    whole = making.finish(making.write({MEMORY: plan.memory}), plan, whole=True)
    with making.watch.phase("audit"):
        equal = equal_outcome(connection, plan, in_part.path if in_part else None, whole.path)
    return making.judge(whole, [equal], plan)


def _driving_in_parts(making: _Making, plan: Plan, parts: TableParts) -> Driving:
    """The driving table of a build by partitions, whole: its rows are known from their fingerprints."""

    def open_whole() -> list[Path]:
        view = _place(making.connection, making.spec.id.workflow, plan.declared.driving)
        read_driving(making.connection, view, plan, parts, making.scratch, whole=True)
        return list(parts.fetch(parts.names(), making.scratch).values())

    rows = sum(count for found in plan.reads.values() for count, *_ in found.values())
    return Driving(open_whole, rows)


@dataclass(frozen=True)
class _Made:
    """A table on local disk, its orphans treated as declared, and how many rows it had before that.

    `orphans`: None where none of them changes a table, so that they are counted when it is judged.
    """

    path: Path
    orphans: Sequence[Orphans] | None
    rows_before: int


@dataclass(frozen=True)
class _Making:
    """What it takes to make a model's table from files on local disk."""

    lake: Lake
    connection: duckdb.DuckDBPyConnection
    spec: ModelSpec
    files: Mapping[str, Path]
    facts: Mapping[str, Any]
    scratch: Scratch
    watch: Stopwatch
    began: datetime
    fetch_old: Callable[[], Path] | None
    driving: Driving | None = None

    def write(self, memory: Mapping[str, Any] | None = None) -> Path:
        """The rows of the query, as a file."""
        target, facts = self.scratch.path(".parquet"), {**self.facts, **(memory or {})}
        with self.watch.phase("query"):
            self.connection.execute(copy_with_facts(_select(self.connection, self.spec), target, facts))
        return target

    def finish(self, target: Path, plan: Plan | None = None, *, whole: bool = True) -> _Made:
        """The table without the orphans that are to be dropped or moved."""
        rows_before = read_footer(target)[1]
        if not remembers_orphans(self.spec):
            return _Made(target, None, rows_before)
        facts = {**self.facts, **({MEMORY: plan.memory} if plan else {})}
        with self.watch.phase("audit"):
            told = left = count_orphans(self.connection, self.spec, target, self.files)
            if plan is not None:
                told, memory = judged_orphans(self.connection, self.spec, plan, target, self.files, whole=whole)
                facts = {**facts, MEMORY: memory}
            if any(one.changes_table for one in left):
                target = _settle(
                    self.connection, self.spec, left, target, self.files, scratch=self.scratch, facts=facts
                )
        return _Made(target, told, rows_before)

    def _keys(self, made: _Made) -> tuple[Sequence[Outcome], Sequence[Orphans]]:
        """What the check of its own key says, and where its foreign keys point: side by side, since neither keeps two cores busy."""
        if made.orphans is not None or not self.spec.foreign_keys:
            return _key_outcome(self.connection, self.spec, made.path), made.orphans or ()

        def own_key() -> list[Outcome]:
            with connect(self.scratch.root) as beside:
                return _key_outcome(beside, self.spec, made.path)

        with ThreadPoolExecutor(1) as pool:
            key = pool.submit(own_key)
            orphans = count_orphans(self.connection, self.spec, made.path, self.files)
        return key.result(), orphans

    def judge(self, made: _Made, more: Sequence[Outcome], plan: Plan | None = None) -> Built:
        """What the checks say of the whole table."""
        connection, spec, target = self.connection, self.spec, made.path
        with self.watch.phase("audit"):
            _, rows, columns = read_footer(target)
            shown = [name for name, _ in columns if name not in spec.pii]
            key, orphans = self._keys(made)
            outcomes = [
                *key,
                *self._rows_kept(made, unique=all(one.passed for one in key)),
                *(one.outcome() for one in orphans),
                *(
                    lookup_outcome(connection, one, target, self.files[one.model], own_rows(spec))
                    for one in spec.lookups
                ),
                *judge(connection, spec.tests, self._judged(target), shown),
                *self._reconciled(target),
                *more,
            ]
            preview = preview_of(connection, target, [name for name, _ in columns], spec.pii)
        said = plan.metadata(hide=plan.declared.output in spec.pii) if plan else {}
        return Built(target, rows, tuple(outcomes), preview, made.rows_before - rows, said)

    def _rows_kept(self, made: _Made, *, unique: bool) -> list[Outcome]:
        """Whether the joins kept the rows of the table the model's rows come from."""
        kept, workflow = self.spec.rows_kept, self.spec.id.workflow
        if kept is None:
            return []
        rows = made.rows_before - (self.spec.unknown_member is not None)
        driving = self._driving_of(kept.keeping.driving)
        table = None if self.spec.lookups or self.spec.omit else made.path
        return [rows_kept_outcome(self.connection, kept, workflow, driving, made=rows, unique=unique, table=table)]

    def _reconciled(self, target: Path) -> list[Outcome]:
        """What blocking reconciliations say of the table before it is published, against the inputs it was built from."""
        known = {self.spec.reads[name]: file for name, file in self.files.items()}
        staged = {**known, self.spec.id: target}
        run_id = str(self.facts["run_id"])
        return [evaluate(self.lake, one, run_id, staged)[1] for one in self.spec.reconciled]

    def _driving_of(self, name: str) -> Driving:
        if name not in self.files:
            return self.driving or Driving(tuple)

        def open_file() -> list[Path]:
            if self.driving is not None:
                self.driving.open()  # what is joined to it must be whole as well
            return [self.files[name]]

        return Driving(open_file)

    def _judged(self, target: Path) -> Judged:
        """The built table for its tests; the version before it is there where one compares with it."""
        reads = relations({name: str(file) for name, file in self.files.items()})
        before = (
            rows_of_file(self.fetch_old()) if self.fetch_old and any(one.compares for one in self.spec.tests) else None
        )
        return Judged(rows_of_file(target), self.began, reads, before)


def _settle(
    connection: duckdb.DuckDBPyConnection,
    spec: ModelSpec,
    orphans: Sequence[Orphans],
    built: Path,
    files: Mapping[str, Path],
    *,
    scratch: Scratch,
    facts: Mapping[str, Any],
) -> Path:
    """Write the table again with what is declared for its orphans; only where there are some, so seldom."""
    target = scratch.path(".parquet")
    concerned = [one.foreign for one in orphans if one.changes_table]
    connection.execute(copy_with_facts(without_orphans(spec, concerned, built, files), target, facts))
    return target


def _name_table(connection: duckdb.DuckDBPyConnection, workflow: str, name: str, file: Path) -> None:
    """Make a staged table visible under the name the SQL calls it by, with or without its workflow's."""
    view = _place(connection, workflow, name)
    connection.execute(f"CREATE OR REPLACE VIEW {view} AS FROM read_parquet({literal(str(file))})")


def _place(connection: duckdb.DuckDBPyConnection, workflow: str, name: str) -> str:
    """The name of a view for a table that the SQL calls so, in a schema that is there."""
    schema, _, table = name.rpartition(".")
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(schema or workflow)}")
    return f"{quote(schema or workflow)}.{quote(table)}"


def _select(connection: duckdb.DuckDBPyConnection, spec: ModelSpec) -> str:
    query = spec.statement
    if spec.lookups or spec.omit:
        require_columns_in(connection, spec.sql_file, query, spec.lookups, spec.omit)
        query = with_lookups(query, spec.lookups, spec.omit)
    if spec.unknown_member is None:
        return query
    columns = connection.execute(f"DESCRIBE {query}").fetchall()
    member = ", ".join(f"{_unknown(spec, name, kind)} AS {quote(name)}" for name, kind, *_ in columns)
    return f"SELECT * FROM ({query}\n) UNION ALL SELECT {member}"


def _unknown(spec: ModelSpec, name: str, kind: str) -> str:
    """The unknown member: key -1, text `Unknown`, and -1 for the keys of other dimensions; everything else null."""
    if name == spec.unknown_member or name in spec.pointers:
        return f"CAST({UNKNOWN_KEY} AS {kind})"
    return literal(UNKNOWN_TEXT) if kind == "VARCHAR" else f"CAST(NULL AS {kind})"


def _key_outcome(connection: duckdb.DuckDBPyConnection, spec: ModelSpec, target: Path) -> list[Outcome]:
    if not spec.keys:
        return []
    absent = " OR ".join(f"{quote(name)} IS NULL" for name in spec.keys)
    nulls, rows = one_row(
        connection, f"SELECT count(*) FILTER ({absent}), count(*) FROM read_parquet({literal(str(target))})"
    )
    double = rows_sharing(connection, target, spec.keys, int(rows))
    broken = int(nulls) + int(double)
    said = f"{nulls} rows without a key, {double} rows that share one; the table keeps its last version."
    return [
        Outcome(
            KEY,
            passed=not broken,
            blocks=True,
            rows_broken=broken,
            description=said if broken else None,
            metadata={"rows_without_key": int(nulls), "rows_sharing_key": int(double)},
        )
    ]
