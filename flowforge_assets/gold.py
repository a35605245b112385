"""A gold asset: a SQL model over silver and other gold tables, rebuilt whole, published only if it passes its checks.

A model whose SQL and inputs are the ones its published table was built from is left as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import dagster as dg

from flowforge_assets import column_notes
from flowforge_assets.model_spec import UNKNOWN_KEY, UNKNOWN_TEXT, ModelSpec
from flowforge_assets.preview import preview_of
from flowforge_assets.step import AssetFace, StepEvents, Stopwatch, check_spec, layer_asset, report, results
from flowforge_checks.model_tests import judge
from flowforge_checks.results import Outcome, still_true
from flowforge_checks.rules import in_code
from flowforge_checks.uniqueness import rows_sharing
from flowforge_resources.duck import connect, literal, one_row, quote
from flowforge_resources.io_managers import StagedGold, StoredTable, gold_table, object_metadata, silver_table
from flowforge_resources.layout import ModelId, TableId, utc_now
from flowforge_resources.published import Published, copy_with_facts, read_footer
from flowforge_resources.run_reports import AssetReport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import duckdb

    from flowforge_assets.model_spec import ForeignKey
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

    @property
    def blocked(self) -> bool:
        """Whether a blocking check failed."""
        return any(outcome.blocks and not outcome.passed for outcome in self.outcomes)


def build_gold(spec: ModelSpec, face: AssetFace) -> dg.AssetsDefinition:
    """The asset `[workflow, <model>]`, with a blocking check of its key and a check of every foreign key."""
    key = dg.AssetKey(spec.id.key)
    checks = (
        [check_spec(KEY, key, f"No row lacks its key ({in_code(spec.keys)}), and no two rows share one.", blocks=True)]
        if spec.keys
        else []
    )
    checks += [
        check_spec(
            foreign_check(one), key, f"`{one.column}` points to a row of `{one.model}`, and not to its unknown member."
        )
        for one in spec.foreign_keys
    ]
    checks += [
        check_spec(test.check_name, key, test.about, blocks=test.effective_action == "block") for test in spec.tests
    ]
    return layer_asset(
        key,
        face,
        lambda context: _rebuild(context, spec, key),
        layer="gold",
        engine="duckdb",
        deps=[asset_path(read) for read in spec.reads.values()],
        checks=checks,
        code_version=spec.fingerprint,
        pool=spec.id.pool,
    )


def asset_path(read: TableId | ModelId) -> tuple[str, str]:
    """Key of the asset that makes a table."""
    return read.silver_key if isinstance(read, TableId) else read.key


def foreign_check(foreign: ForeignKey) -> str:
    """Name of a foreign key's check."""
    return f"foreign_key_{foreign.column}"


def open_table(lake: Lake, read: TableId | ModelId) -> StoredTable:
    """The published table that a model reads."""
    return silver_table(lake, read) if isinstance(read, TableId) else gold_table(lake, read)


def _rebuild(context: dg.AssetExecutionContext, spec: ModelSpec, key: dg.AssetKey) -> StepEvents:
    lake: Lake = context.resources.lake.open()
    watch = Stopwatch()
    inputs = {name: open_table(lake, read) for name, read in spec.reads.items()}
    built_from = _built_from(spec, {name: table.require() for name, table in inputs.items()})
    published = gold_table(lake, spec.id).published()
    if published is not None and published.facts.get("built_from") == built_from and key in context.selected_asset_keys:
        report(context, key, lake, _report(lake, spec, None, watch, published.rows))
        yield dg.MaterializeResult(
            asset_key=key, value=StagedGold(spec.id, published, None), metadata=_unchanged(lake, spec, published, watch)
        )
        blocking = [test.check_name for test in spec.tests if test.effective_action == "block"]
        yield from results(context, key, [still_true(name) for name in (*([KEY] if spec.keys else []), *blocking)])
        return
    with lake.scratch() as scratch:
        built = _build(spec, inputs, built_from, scratch=scratch, watch=watch, run_id=context.run.run_id)
        if key in context.selected_asset_keys and not built.blocked:
            staged = StagedGold(spec.id, published, built.path, column_notes.of_gold(spec))
            yield dg.MaterializeResult(asset_key=key, value=staged, metadata=_metadata(built, watch))
        report(context, key, lake, _report(lake, spec, built, watch, built.rows))
        yield from results(context, key, built.outcomes)


def _built_from(spec: ModelSpec, inputs: Mapping[str, Published]) -> dict[str, str]:
    return {"": spec.fingerprint, **{name: table.nonce for name, table in sorted(inputs.items())}}


def _build(
    spec: ModelSpec,
    inputs: Mapping[str, StoredTable],
    built_from: Mapping[str, str],
    *,
    scratch: Scratch,
    watch: Stopwatch,
    run_id: str,
) -> Built:
    with watch.phase("fetch"):
        files = {name: table.stage_in(scratch) for name, table in inputs.items()}
    target = scratch.path(".parquet")
    facts = {
        "table": str(spec.id),
        "nonce": uuid4().hex,
        "run_id": run_id,
        "published_at": utc_now().isoformat(),
        "built_from": dict(built_from),
    }
    with connect(scratch.root) as connection:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(spec.id.workflow)}")
        for name, file in files.items():
            _name_table(connection, spec.id.workflow, name, file)
        connection.execute(f"SET search_path = {literal(spec.id.workflow)}")
        with watch.phase("query"):
            connection.execute(copy_with_facts(_select(connection, spec), target, facts))
        with watch.phase("audit"):
            _, rows, columns = read_footer(target)
            shown = [name for name, _ in columns if name not in spec.pii]
            outcomes = [
                *_key_outcome(connection, spec, target),
                *(_foreign_outcome(connection, spec, one, target, files) for one in spec.foreign_keys),
                *judge(connection, spec.tests, target, {name: str(file) for name, file in files.items()}, shown),
            ]
            preview = preview_of(connection, target, [name for name, _ in columns], spec.pii)
    return Built(target, rows, tuple(outcomes), preview)


def _name_table(connection: duckdb.DuckDBPyConnection, workflow: str, name: str, file: Path) -> None:
    """Make a staged table visible under the name the SQL calls it by."""
    schema, _, table = name.rpartition(".")
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(schema or workflow)}")
    connection.execute(
        f"CREATE VIEW {quote(schema or workflow)}.{quote(table)} AS FROM read_parquet({literal(str(file))})"
    )


def _select(connection: duckdb.DuckDBPyConnection, spec: ModelSpec) -> str:
    query = spec.sql.rstrip().rstrip(";")
    if spec.unknown_member is None:
        return query
    columns = connection.execute(f"DESCRIBE {query}").fetchall()
    member = ", ".join(f"{_unknown(spec, name, kind)} AS {quote(name)}" for name, kind, *_ in columns)
    return f"SELECT * FROM ({query}\n) UNION ALL SELECT {member}"


def _unknown(spec: ModelSpec, name: str, kind: str) -> str:
    """The unknown member: key -1, text `Unknown`, and -1 for the keys of other dimensions; everything else null."""
    if name == spec.unknown_member or name in {one.column for one in spec.foreign_keys}:
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


def _foreign_outcome(
    connection: duckdb.DuckDBPyConnection, spec: ModelSpec, foreign: ForeignKey, target: Path, files: Mapping[str, Path]
) -> Outcome:
    """Rows that point nowhere fail the check; rows that point at the unknown member make it warn."""
    known = f"{quote(spec.unknown_member)} <> {UNKNOWN_KEY}" if spec.unknown_member else "TRUE"
    column, other = quote(foreign.column), f"read_parquet({literal(str(files[foreign.model]))})"
    rows, orphans, unknown = one_row(
        connection,
        f"SELECT count(*), count(*) FILTER ({column} IS NULL OR {column} NOT IN (SELECT {quote(foreign.target)} FROM {other})), "
        f"count(*) FILTER ({column} = {UNKNOWN_KEY}) FROM read_parquet({literal(str(target))}) WHERE {known}",
    )
    found = {f"point to no row of {foreign.model}": orphans, f"point to the unknown member of {foreign.model}": unknown}
    said = ", ".join(f"{count:,} {what}" for what, count in found.items() if count)
    return Outcome(
        foreign_check(foreign),
        passed=not orphans and not unknown,
        warns=not orphans,
        rows_broken=int(orphans) + int(unknown),
        description=f"Of {rows:,} rows {said}; all are kept." if said else None,
        metadata={"rows_checked": int(rows), "rows_orphaned": int(orphans), "rows_unknown": int(unknown)},
    )


def _unchanged(lake: Lake, spec: ModelSpec, published: Published, watch: Stopwatch) -> dict[str, Any]:
    uri, notes = lake.uri(spec.id.object), column_notes.of_gold(spec)
    described = object_metadata(uri, published.object.size_bytes, published.rows, published.columns, notes)
    return {**described, "changed": False, **watch.metadata()}


def _metadata(built: Built, watch: Stopwatch) -> dict[str, Any]:
    return {"preview": dg.MetadataValue.md(built.preview), "changed": True, **watch.metadata()}


def _report(lake: Lake, spec: ModelSpec, built: Built | None, watch: Stopwatch, rows: int) -> AssetReport:
    outcomes: Sequence[Outcome] = built.outcomes if built else ()
    return AssetReport(
        asset=spec.id.name,
        layer="gold",
        uri=lake.uri(spec.id.object),
        published=built is not None and not built.blocked,
        blocked=built.blocked if built else False,
        rows=rows,
        seconds=round(watch.seconds, 3),
        checks=tuple(outcome.report() for outcome in outcomes),
    )
