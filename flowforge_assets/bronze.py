"""The bronze asset of a table: new landing files, each taken once, as text in Parquet."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import dagster as dg

from flowforge_assets import column_notes
from flowforge_assets.preview import preview_of_text
from flowforge_assets.step import AssetFace, StepEvents, Stopwatch, check_spec, layer_asset, report, results
from flowforge_assets.transforms.ingest import Ingested, LandedFile, ingest
from flowforge_checks.results import Outcome, as_markdown, still_true
from flowforge_resources.io_managers import StagedBronze
from flowforge_resources.layout import utc_now
from flowforge_resources.ledger import Ledger, TakenFile, delete_fenced, fence_orphans, read_ledger
from flowforge_resources.run_reports import AssetReport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowforge_assets.formats.csv_account import CsvAccount
    from flowforge_assets.table_spec import TableSpec
    from flowforge_resources.lake import Lake, StoredObject
    from flowforge_resources.scratch import Scratch

LOSSLESS, LANDING, SCHEMA = "lossless", "landing", "schema"
_LINES = ("lines", "rows", "continuation", "header", "preamble", "footer", "comment", "blank", "rescued", "repaired")
# Spelled out, because Dagster cannot infer it from an account without a file.
_ACCOUNT = dg.TableSchema(
    [
        dg.TableColumn("file", "string"),
        *(dg.TableColumn(name, "int") for name in _LINES),
    ]
)


def build_bronze(spec: TableSpec, face: AssetFace) -> dg.AssetsDefinition:
    """The asset `[workflow, bronze_<table>]` with its checks `lossless` (blocking), `landing` and `schema`."""
    key = dg.AssetKey(spec.id.bronze_key)
    checks = [
        check_spec(
            LOSSLESS,
            key,
            "Every line of every file is a row or part of one, the header, or set aside and counted.",
            blocks=True,
        ),
        check_spec(LANDING, key, "Every file in the table's landing folder is one the table expects, and holds rows."),
        check_spec(SCHEMA, key, "The files' columns are the declared ones."),
    ]
    declared = {"dagster/column_schema": column_notes.declared_bronze(spec)}
    described = replace(
        face,
        metadata={**face.metadata, **declared},
        description=f"The text of `{spec.files}` as it landed, each file taken once.",
    )
    return layer_asset(
        key,
        described,
        lambda context: _take_new_files(context, spec, key),
        layer="bronze",
        engine="polars",
        checks=checks,
    )


def _take_new_files(context: dg.AssetExecutionContext, spec: TableSpec, key: dg.AssetKey) -> StepEvents:
    lake: Lake = context.resources.lake.open()
    watch = Stopwatch()
    with lake.scratch() as scratch:
        with watch.phase("discover"):
            ledger = _tidy_ledger(lake, spec, context.run.run_id)
            found = sorted(lake.objects(spec.id.landing), key=lambda one: (one.last_modified, one.key))
            new = [one for one in found if is_expected(spec, one) and not ledger.is_taken(one)]
        with watch.phase("ingest"):
            files = [LandedFile(one.key, _local_copy(lake, one, scratch)) for one in new]
            ingested_at = utc_now()
            done = ingest(files, spec, ingested_at, scratch.path(".parquet"))
        staged = StagedBronze(
            table=spec.id,
            run_id=context.run.run_id,
            ingested_at=ingested_at,
            after_version=ledger.version,
            path=done.path,
            rows=sum(done.rows.values()),
            files=tuple(_taken(one, done) for one in new),
            fenced=frozenset(ledger.fenced),
            notes=column_notes.of_bronze(spec),
        )
        outcomes = [_lossless(done), _schema(spec, done)] if new else [still_true(LOSSLESS)]
        outcomes.append(_landing(spec, found, done))
        blocked = any(outcome.blocks and not outcome.passed for outcome in outcomes)
        if key in context.selected_asset_keys and not blocked:
            rows = sum(entry.rows for entry in ledger.entries) + staged.rows
            yield dg.MaterializeResult(asset_key=key, value=staged, metadata=_metadata(spec, staged, done, rows, watch))
        report(context, lake, _report(lake, spec, staged, outcomes, watch, blocked=blocked))
        yield from results(context, key, outcomes)


def is_expected(spec: TableSpec, found: StoredObject) -> bool:
    """Whether a landing object is one of the table's files, by its name."""
    return fnmatchcase(found.key.removeprefix(spec.id.landing), spec.files)


def _tidy_ledger(lake: Lake, spec: TableSpec, run_id: str) -> Ledger:
    """Read the ledger, and remove what killed runs left behind."""
    ledger = read_ledger(lake, spec.id)
    fenced = fence_orphans(lake, ledger, run_id)
    delete_fenced(lake, fenced)
    return read_ledger(lake, spec.id) if fenced else ledger


def _local_copy(lake: Lake, found: StoredObject, scratch: Scratch) -> Any:
    """Landing files are never changed, so a local lake's are read where they lie."""
    return lake.local_root / found.key if lake.local_root else lake.stage_in(found.key, scratch)


def _taken(found: StoredObject, done: Ingested) -> TakenFile:
    return TakenFile(
        found.key,
        found.etag,
        found.size_bytes,
        found.last_modified.isoformat(),
        done.sha256[found.key],
        done.rows[found.key],
    )


def _metadata(spec: TableSpec, staged: StagedBronze, done: Ingested, rows: int, watch: Stopwatch) -> dict[str, Any]:
    files = [
        {"file": file.key, "rows": file.rows, "size_bytes": file.size_bytes, **_written(done, file.key)}
        for file in staged.files
    ]
    return {
        "rows_ingested": staged.rows,
        "dagster/row_count": rows,
        "files_ingested": len(staged.files),
        "files": dg.MetadataValue.md(as_markdown(files) or "none new"),
        **({"preview": dg.MetadataValue.md(preview_of_text(staged.path, spec))} if staged.path else {}),
        **watch.metadata(),
    }


def _written(done: Ingested, key: str) -> dict[str, object]:
    """How a file is written, as far as a person wants to know."""
    decided = done.decided.get(key, {})
    names = ("encoding", "delimiter", "quote", "line_terminator", "header_lines")
    return {name: decided.get(name, "") for name in names}


def _lossless(done: Ingested) -> Outcome:
    account = [dg.TableRecord({"file": key, **_lines(lines)}) for key, lines in done.accounts.items()]
    lost = done.unexplained
    return Outcome(
        LOSSLESS,
        passed=not lost,
        blocks=True,
        rows_broken=len(lost),
        description=f"Lines that no row explains in {', '.join(lost)}; nothing was ingested." if lost else None,
        metadata={"account": dg.MetadataValue.table(account, _ACCOUNT)},
    )


def _lines(account: CsvAccount) -> dict[str, int]:
    """The columns of a file's account that the UI shows, in order."""
    return {name: getattr(account, name) for name in _LINES}


def _landing(spec: TableSpec, found: Sequence[StoredObject], done: Ingested) -> Outcome:
    strangers = [one.key for one in found if not is_expected(spec, one)]
    said = [f"{key} does not match `{spec.files}` and was left alone." for key in strangers]
    said += [f"{key} holds no row; it was taken and added nothing." for key in done.empty_files]
    said += [
        f"{key}: {account.repaired} rows did not fit and were read as best they could be; `_rescued` has the text."
        for key, account in done.accounts.items()
        if account.repaired
    ]
    return Outcome(LANDING, passed=not said, warns=True, rows_broken=len(said), description=" ".join(said) or None)


def _schema(spec: TableSpec, done: Ingested) -> Outcome:
    declared = {column.header for column in spec.columns}
    said = []
    for key, header in done.headers.items():
        added = [name for name in header if name not in declared]
        missing = sorted(declared - set(header)) if header else []
        said += [f"{key} also has {', '.join(added)}: kept in bronze, not declared for silver."] if added else []
        said += [f"{key} lacks {', '.join(missing)}: null in silver."] if missing else []
    return Outcome(SCHEMA, passed=not said, warns=True, rows_broken=len(said), description=" ".join(said) or None)


def _report(
    lake: Lake, spec: TableSpec, staged: StagedBronze, outcomes: Sequence[Outcome], watch: Stopwatch, *, blocked: bool
) -> AssetReport:
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
