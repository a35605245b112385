"""What every bronze asset does with a batch, wherever its rows come from: stage it, judge it, report it.

Belongs here: what files and sources have in common. Does not: how rows are found and read (`landed`, `sourced`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from flowforge_assets import column_notes
from flowforge_assets.bronze.file_lists import accounts_shown, some_names
from flowforge_checks.results import Outcome
from flowforge_resources.fences import delete_fenced, fence_orphans
from flowforge_resources.io_managers import StagedBronze
from flowforge_resources.ledger import keep_short, read_ledger
from flowforge_resources.run_reports import AssetReport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from flowforge_assets.bronze.schema_changes import SchemaChanges
    from flowforge_assets.running.step import Stopwatch
    from flowforge_assets.table_spec import TableSpec
    from flowforge_assets.transforms.ingest import Ingested
    from flowforge_resources.lake import Lake
    from flowforge_resources.ledger import Ledger, LeftFile, TakenFile

LOSSLESS, SCHEMA = "lossless", "schema"
_LINES = ("lines", "rows", "continuation", "header", "preamble", "footer", "comment", "blank", "rescued", "repaired")
# What has no lines of text: rows as a source sends them.
ROWS_ONLY = ("rows", "rescued")


def tidy_ledger(lake: Lake, spec: TableSpec, run_id: str) -> Ledger:
    """Read the ledger, keep it short, and remove what killed runs left behind."""
    ledger = keep_short(lake, read_ledger(lake, spec.id))
    fenced = fence_orphans(lake, ledger, run_id)
    delete_fenced(lake, fenced)
    return read_ledger(lake, spec.id) if fenced else ledger


def staged_batch(
    spec: TableSpec,
    ledger: Ledger,
    done: Ingested,
    changes: SchemaChanges,
    *,
    run_id: str,
    at: datetime,
    files: tuple[TakenFile, ...],
    left: tuple[LeftFile, ...] = (),
    supersedes: tuple[str, ...] = (),
    notes: Mapping[str, str] | None = None,
) -> StagedBronze:
    """A batch on local disk, with what its entry in the ledger will say. `notes`: of columns, beside the declared."""
    return StagedBronze(
        table=spec.id,
        run_id=run_id,
        ingested_at=at,
        after_version=ledger.version,
        path=done.path,
        rows=sum(done.rows.values()),
        files=files,
        left=left,
        fenced=ledger.spent,
        supersedes=supersedes,
        columns=tuple(sorted(ledger.columns | set(done.columns))),
        types=changes.types,
        brought=changes.brought,
        ascii_blanks=done.ascii_blanks,
        notes=column_notes.joined(column_notes.of_bronze(spec), notes or {}),
    )


def lossless(done: Ingested, shown: Sequence[str] = _LINES) -> Outcome:
    """Every line or row that came is accounted for, and the rows among them are in bronze."""
    account = [dg.TableRecord(row) for row in accounts_shown(done.accounts, shown)]
    # Spelled out, because Dagster cannot infer it from an account without a file.
    schema = dg.TableSchema([dg.TableColumn("file", "string"), *(dg.TableColumn(name, "int") for name in shown)])
    lost = done.unexplained
    return Outcome(
        LOSSLESS,
        passed=not lost,
        blocks=True,
        rows_broken=len(lost),
        description=f"Lines that no row explains in {some_names(lost)}; nothing was ingested." if lost else None,
        metadata={"account": dg.MetadataValue.table(account, schema)},
    )


def bronze_report(
    lake: Lake, spec: TableSpec, staged: StagedBronze, outcomes: Sequence[Outcome], watch: Stopwatch, *, blocked: bool
) -> AssetReport:
    """What a run of a bronze table reports on the lake."""
    return AssetReport(
        asset=spec.id.bronze_key[-1],
        layer="bronze",
        uri=lake.uri(spec.id.bronze),
        published=bool(staged.files) and not blocked,
        blocked=blocked,
        rows=staged.rows,
        seconds=round(watch.seconds, 3),
        checks=tuple(outcome.report() for outcome in outcomes),
        files=tuple(file.key for file in staged.files),
        notes=tuple(outcome.description for outcome in outcomes if outcome.description and not outcome.passed),
    )
