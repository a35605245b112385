"""The bronze asset of a table: new landing files, each taken once, as text in Parquet."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

import dagster as dg

from flowforge_assets import column_notes
from flowforge_assets.bronze.clean_source import clean, covered_version
from flowforge_assets.bronze.discovery import look, within_limits
from flowforge_assets.bronze.file_lists import SHOWN
from flowforge_assets.bronze.intake import take_in
from flowforge_assets.bronze.landing_check import landing_outcome
from flowforge_assets.bronze.named_files import named_for
from flowforge_assets.bronze.schema_changes import changes_of, stop_once
from flowforge_assets.bronze.staged import LOSSLESS, SCHEMA, bronze_report, lossless, staged_batch, tidy_ledger
from flowforge_assets.formats.csv_options import WRITTEN_AS
from flowforge_assets.preview import preview_of_text
from flowforge_assets.running.step import AssetFace, StepEvents, Stopwatch, check_spec, layer_asset, report, results
from flowforge_assets.running.steps_at_once import READS_FILES
from flowforge_checks.results import as_markdown, blocks_publishing, still_true
from flowforge_resources.layout import utc_now
from flowforge_resources.ledger import commit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowforge_assets.bronze.intake import Intake
    from flowforge_assets.gates.keeping import Gatekeeper
    from flowforge_assets.table_spec import TableSpec
    from flowforge_assets.transforms.ingest import Ingested
    from flowforge_resources.io_managers import StagedBronze
    from flowforge_resources.lake import Lake
    from flowforge_resources.ledger import Ledger

LANDING = "landing"
_TOLD = ("encoding", "delimiter", "quote", "line_terminator", "header_lines")
# Shown where a file of the run has something else than most.
_IF_UNUSUAL = {WRITTEN_AS: None, "format": "csv", "compression": "none", "members": None}


def build_bronze(spec: TableSpec, face: AssetFace) -> dg.AssetsDefinition:
    """The asset `[workflow, bronze_<table>]` with its checks `lossless` (blocking), `landing` and `schema`."""
    key = dg.AssetKey(spec.id.bronze_key)
    declared = {"dagster/column_schema": column_notes.declared_bronze(spec)}
    described = replace(
        face,
        metadata={**face.metadata, **declared},
        description=f"The text of `{spec.files}` as it landed, each file taken once.",
    )
    return layer_asset(
        key,
        described,
        lambda context, gate: _take_new_files(context, spec, key, gate),
        layer="bronze",
        engine="polars",
        checks=bronze_checks(key),
        pool=spec.id.pool,
        beside_others=READS_FILES,
    )


def bronze_checks(key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """What is asked of every table's landing and bronze."""
    return [
        check_spec(
            LOSSLESS,
            key,
            "Every line of every file is a row or part of one, the header, or set aside and counted.",
            blocks=True,
        ),
        check_spec(LANDING, key, "Every file in the table's landing folder is one the table expects, and holds rows."),
        check_spec(SCHEMA, key, "The files' columns are the ones the table has had, and the declared ones are there."),
    ]


def _take_new_files(
    context: dg.AssetExecutionContext, spec: TableSpec, key: dg.AssetKey, gate: Gatekeeper
) -> StepEvents:
    lake: Lake = context.resources.lake.open()
    watch = Stopwatch()
    with lake.scratch() as scratch:
        with watch.phase("discover"):
            ledger = tidy_ledger(lake, spec, context.run.run_id)
            named = named_for(spec, context.run.tags)
            landed = look(lake, spec, ledger, utc_now(), named)
            batch = within_limits(spec.landing, landed.new)
        with watch.phase("ingest"):
            ingested_at = utc_now()
            intake = take_in(lake, spec, ledger, batch, at=ingested_at, scratch=scratch)
        changes = changes_of(spec, ledger, intake.done)
        staged = staged_batch(
            spec,
            ledger,
            intake.done,
            changes,
            run_id=context.run.run_id,
            at=ingested_at,
            files=intake.taken,
            left=intake.left,
            supersedes=intake.supersedes,
        )
        wanted = key in context.selected_asset_keys
        if wanted:
            stop_once(lake, spec, ledger, changes, run_id=context.run.run_id, at=ingested_at)
        if intake.nothing_but_errors and not _silver_waits(lake, spec, ledger):
            _give_up(context, lake, staged, intake, record=wanted)
        outcomes = [lossless(intake.done), changes.outcome(SCHEMA, spec)] if intake.taken else [still_true(LOSSLESS)]
        of_landing = landing_outcome(LANDING, spec, landed, intake, named)
        outcomes = [*gate.waived(outcomes), *([of_landing] if of_landing else [])]
        blocked = blocks_publishing(outcomes)
        if wanted and not blocked:
            waiting = {"files_waiting": len(landed.new) - len(batch), "files_too_young": len(landed.young)}
            said = _metadata(spec, staged, intake, ledger.rows + staged.rows, watch, waiting=waiting)
            said |= {"looked_at": f"{named}, named by the landing sensor"} if named else {}
            yield dg.MaterializeResult(asset_key=key, value=staged, metadata={**said, **changes.metadata})
            clean(lake, spec, landed.done)
        gate.settle(outcomes)
        report(context, key, lake, bronze_report(lake, spec, staged, outcomes, watch, blocked=blocked))
        yield from results(context, key, outcomes)


def _silver_waits(lake: Lake, spec: TableSpec, ledger: Ledger) -> bool:
    """Whether bronze holds rows of earlier runs that silver does not: a bad file must not hold those up."""
    return bool(ledger.data_after(covered_version(lake, spec)))


def _give_up(
    context: dg.AssetExecutionContext, lake: Lake, staged: StagedBronze, intake: Intake, *, record: bool
) -> NoReturn:
    """No file of the batch can be read: remember that each was tried, and fail with the first one's reason.

    Where another run commits at the same moment nothing is remembered, and the files have one attempt more.
    """
    for error in intake.errors.values():
        context.log.error("%s", error)
    if record:
        commit(lake, staged.table, staged.entry(None))
    raise next(iter(intake.errors.values()))


def _metadata(
    spec: TableSpec, staged: StagedBronze, intake: Intake, rows: int, watch: Stopwatch, *, waiting: Mapping[str, int]
) -> dict[str, Any]:
    shown = staged.files[:SHOWN]
    decided = [intake.done.decided.get(one.key, {}) for one in shown]
    names = _TOLD + tuple(
        name for name, usual in _IF_UNUSUAL.items() if any(one.get(name, usual) != usual for one in decided)
    )
    files = [
        {"file": file.key, "rows": file.rows, "size_bytes": file.size_bytes, **_written(intake.done, file.key, names)}
        for file in shown
    ]
    more = len(staged.files) - len(files)
    left = Counter(file.outcome for file in staged.left)
    return {
        "rows_ingested": staged.rows,
        "dagster/row_count": rows,
        "files_ingested": len(staged.files),
        **{f"files_{outcome}": count for outcome, count in sorted(left.items())},
        **{name: count for name, count in waiting.items() if count},
        "files": dg.MetadataValue.md((as_markdown(files) or "none new") + (f"\n\nand {more:,} more" if more else "")),
        **({"preview": dg.MetadataValue.md(preview_of_text(staged.path, spec))} if staged.path else {}),
        **watch.metadata(),
    }


def _written(done: Ingested, key: str, names: Sequence[str]) -> dict[str, object]:
    """How a file is written, as far as a person wants to know."""
    decided = done.decided.get(key, {})
    return {name: decided.get(name, "") for name in names}
