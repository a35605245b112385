"""A gold asset: a SQL model over silver and other gold tables, rebuilt whole, published only if it passes its checks.

A model whose SQL and inputs are the ones its published table was built from is left as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import dagster as dg

from flowforge_assets import column_notes
from flowforge_assets.lookups import lookup_check, lookup_outcome, require_columns_in, with_lookups
from flowforge_assets.model_spec import UNKNOWN_KEY, UNKNOWN_TEXT, ModelSpec
from flowforge_assets.orphans import Orphans, count_orphans, foreign_check, own_rows, without_orphans
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
            foreign_check(one),
            key,
            f"`{one.column}` points to a row of `{one.model}`, and not to its unknown member.",
            blocks=one.on_orphan == "block",
        )
        for one in spec.foreign_keys
    ]
    checks += [
        check_spec(
            lookup_check(one), key, f"`{one.column}` was found in `{one.model}`, in one row at most.", blocks=True
        )
        for one in spec.lookups
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


def _blocking_checks(spec: ModelSpec) -> list[str]:
    """Checks that a published table has passed. That of a lookup warns as well: it keeps what it last said."""
    foreign = [foreign_check(one) for one in spec.foreign_keys if one.on_orphan == "block"]
    tests = [test.check_name for test in spec.tests if test.effective_action == "block"]
    return [KEY] * bool(spec.keys) + foreign + tests


def asset_path(read: TableId | ModelId) -> tuple[str, str]:
    """Key of the asset that makes a table."""
    return read.silver_key if isinstance(read, TableId) else read.key


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
        yield from results(context, key, [still_true(name) for name in _blocking_checks(spec)])
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
        staged = {name: table.stage_in_version(scratch) for name, table in inputs.items()}
    files = {name: path for name, (path, _) in staged.items()}
    target = scratch.path(".parquet")
    # What was fetched, not what was there a moment before: a set of versions is only as true as this.
    fetched = {name: nonce or built_from[name] for name, (_, nonce) in staged.items()}
    facts = {
        "table": str(spec.id),
        "nonce": uuid4().hex,
        "run_id": run_id,
        "published_at": utc_now().isoformat(),
        "built_from": {**built_from, **fetched},
    }
    with connect(scratch.root) as connection:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(spec.id.workflow)}")
        for name, file in files.items():
            _name_table(connection, spec.id.workflow, name, file)
        connection.execute(f"SET search_path = {literal(spec.id.workflow)}")
        with watch.phase("query"):
            connection.execute(copy_with_facts(_select(connection, spec), target, facts))
        with watch.phase("audit"):
            orphans = [count_orphans(connection, spec, one, target, files) for one in spec.foreign_keys]
            _, rows_before, columns = read_footer(target)
            if any(one.changes_table for one in orphans):
                target = _settle(connection, spec, orphans, target, files, scratch=scratch, facts=facts)
            shown = [name for name, _ in columns if name not in spec.pii]
            outcomes = [
                *_key_outcome(connection, spec, target),
                *(one.outcome() for one in orphans),
                *(lookup_outcome(connection, one, target, files[one.model], own_rows(spec)) for one in spec.lookups),
                *judge(connection, spec.tests, target, {name: str(file) for name, file in files.items()}, shown),
            ]
            _, rows, _ = read_footer(target)
            preview = preview_of(connection, target, [name for name, _ in columns], spec.pii)
    return Built(target, rows, tuple(outcomes), preview, rows_before - rows)


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
    schema, _, table = name.rpartition(".")
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(schema or workflow)}")
    connection.execute(
        f"CREATE OR REPLACE VIEW {quote(schema or workflow)}.{quote(table)} AS FROM read_parquet({literal(str(file))})"
    )


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


def _unchanged(lake: Lake, spec: ModelSpec, published: Published, watch: Stopwatch) -> dict[str, Any]:
    uri, notes = lake.uri(spec.id.object), column_notes.of_gold(spec)
    described = object_metadata(uri, published.object.size_bytes, published.rows, published.columns, notes)
    return {**described, "changed": False, **watch.metadata()}


def _metadata(built: Built, watch: Stopwatch) -> dict[str, Any]:
    dropped = {"rows_dropped": built.rows_dropped} if built.rows_dropped else {}
    return {"preview": dg.MetadataValue.md(built.preview), "changed": True, **dropped, **watch.metadata()}


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
