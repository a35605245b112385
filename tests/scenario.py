"""What every test starts from: a lake in a temporary place, the sample workflow, and small workflows of a test's own.

Belongs here: landing files, running jobs for real, and looking at what lies on a lake. Does not: any expectation.
Nothing here replaces our own code: a run is a real Dagster run, a lake a real folder or a real S3 wire.
"""

from __future__ import annotations

import itertools
import json
import sys
import textwrap
from contextlib import contextmanager
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import duckdb

from flowforge_assets.loading import load_workflows
from flowforge_resources.duck import literal
from flowforge_resources.gold_sets import read_set

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from flowforge_resources.lake import Lake

SAMPLE = Path(__file__).parent.parent / "sample-data"
EXPECTED = json.loads((SAMPLE / "expected.json").read_text(encoding="utf-8"))
TABLES = ("regions", "countries", "categories", "products", "customers", "orders", "order_items")
MODELS = (
    "dim_region",
    "dim_country",
    "dim_customer",
    "dim_category",
    "dim_product",
    "dim_date",
    "fact_sales",
    "agg_sales_by_month",
)
# Differ between two runs that did the same.
OF_THE_RUN = ("_ingested_at", "_held_by_run", "_landings")
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

# The small workflow `shop`: every layer, a rule that holds rows, a reference, a compound key, a model with a dimension.
SHOP_YAML = """
    type: flowforge_assets.components.Workflow
    attributes: {description: A shop.}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: items
      columns:
        - {name: item_id}
        - {name: label}
        - {name: price, type: "decimal(10,2)"}
        - {name: seen_at, type: date}
      keys: [item_id]
      sequence_by: [seen_at]
      rules:
        - {rule: range, column: price, min: 0}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: sales
      files: sales_*.csv
      columns:
        - {name: shop}
        - {name: number, type: integer}
        - {name: item_id}
        - {name: quantity, type: integer}
      keys: [shop, number]
      rules:
        - {rule: references, column: item_id, table: items, action: keep, severity: warn}
    ---
    type: flowforge_assets.components.Model
    attributes:
      name: dim_item
      keys: [item_key]
      unknown_member: item_key
    ---
    type: flowforge_assets.components.Model
    attributes:
      name: fact_sales
      keys: [sales_key]
      foreign_keys: [{column: item_key, model: dim_item}]
"""
SHOP_SQL = {
    "dim_item": "SELECT items_key AS item_key, item_id, label, price FROM items",
    "fact_sales": """
        SELECT s.sales_key, coalesce(i.item_key, -1) AS item_key, s.quantity, s.quantity * i.price AS revenue
        FROM sales AS s LEFT JOIN dim_item AS i USING (item_id)
    """,
}
SHOP_DAY1 = {
    "items/items_1.csv": "item_id,label,price,seen_at\n007,Spade,12.50,2026-01-01\n008,Rake,-1,2026-01-01\n009,Hoe,3,2026-01-01\n",
    "sales/sales_1.csv": "shop,number,item_id,quantity\nnorth,1,007,2\nnorth,2,009,1\nsouth,1,404,5\nsouth,x,007,1\n",
}
SHOP_DAY2 = {
    "items/items_2.csv": "item_id,label,price,seen_at\n007,Spade,13.50,2026-02-01\n008,Rake,7,2026-02-01\n009,Old,1,2025-01-01\n010,Axe,-5,2026-02-01\n",
    "sales/sales_2.csv": "shop,number,item_id,quantity\nnorth,2,009,4\nwest,1,008,1\nwest,1,008,1\n",
}

CONTESTED_YAML = """
    type: flowforge_assets.components.Workflow
    attributes: {description: A table that several runs write at once., history: {keep_last: 1000}}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: counts
      max_files_per_run: 1
      columns:
        - {name: key}
        - {name: value, type: integer}
      keys: [key]
"""

_project_numbers = itertools.count(1)


def retail() -> dg.Definitions:
    """The code location as users load it."""
    from flowforge_assets.definitions import defs

    return defs


def land(lake: Lake, workflow: str, files: Mapping[str, str | bytes]) -> None:
    """Put files into a workflow's landing; names are `table/file`."""
    for name, content in files.items():
        lake.write(f"landing/{workflow}/{name}", content.encode() if isinstance(content, str) else content)


def land_day(lake: Lake, day: str) -> None:
    """Put one day of the sample data into the landing of `retail`, in the order of its names."""
    for path in sorted((SAMPLE / day).rglob("*.csv")):
        land(lake, "retail", {path.relative_to(SAMPLE / day).as_posix(): path.read_bytes()})


@contextmanager
def project(folder: Path, documents: Mapping[str, str], **files: str) -> Iterator[dg.Definitions]:
    """The definitions of a project folder with workflows of its own, importable for the length of the block.

    Args:
        folder: an empty folder.
        documents: the `defs.yaml` of each workflow.
        files: `.sql` files by name and `.py` files by file name, put beside every `defs.yaml`.
    """
    package = f"project_{next(_project_numbers)}"
    for workflow, text in documents.items():
        beside = folder / package / "defs" / workflow
        beside.mkdir(parents=True)
        (beside / "defs.yaml").write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        for name, sql in files.items():
            (beside / (name if name.endswith(".py") else f"{name}.sql")).write_text(sql, encoding="utf-8")
    for inside in (folder / package, folder / package / "defs"):
        (inside / "__init__.py").touch()
    (folder / "pyproject.toml").write_text(
        f'[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "{package}"\n', encoding="utf-8"
    )
    sys.path.insert(0, str(folder))
    try:
        yield load_workflows(import_module(f"{package}.defs"), folder)
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.split(".")[0] == package]:
            del sys.modules[name]


def load(folder: Path, yaml: str, workflow: str = "shop", **files: str) -> dg.Definitions:
    """The definitions of a project with one workflow; whatever is wrong with it is raised here."""
    with project(folder, {workflow: yaml}, **files) as defs:
        defs.get_repository_def()
        return defs


def shop(folder: Path) -> dg.Definitions:
    """The small workflow."""
    return load(folder, SHOP_YAML, **SHOP_SQL)


def contested(folder: Path) -> dg.Definitions:
    """One table of which a run takes one file, so that runs side by side each have something to publish."""
    return load(folder, CONTESTED_YAML, "contested")


def run(
    defs: dg.Definitions, workflow: str, instance: dg.DagsterInstance | None = None, **options: Any
) -> dg.ExecuteInProcessResult:
    """Run a workflow's job to its end; a failed step is in the result, not raised."""
    job = defs.resolve_job_def(workflow)
    with instance or dg.DagsterInstance.ephemeral() as used:
        return job.execute_in_process(instance=used, raise_on_error=False, run_config=QUIET, **options)


def launched(
    job: dg.JobDefinition, instance: dg.DagsterInstance, execution: dict[str, Any] | None = None, **options: Any
) -> dg.DagsterRun:
    """Run a job with the executor it has outside of tests, as the command line and the daemon do; the run as it ended.

    `execution`: run config of the executor, e.g. `{"in_process": {"max_concurrent": 1}}`.
    """
    from dagster._core.definitions.job_base import InMemoryJob
    from dagster._core.execution.api import execute_run

    asked = QUIET | ({"execution": {"config": execution}} if execution else {})
    created = instance.create_run_for_job(job, run_config=asked)
    execute_run(InMemoryJob(job), created, instance, **options)
    ended = instance.get_run_by_id(created.run_id)
    assert ended is not None
    return ended


def run_well(defs: dg.Definitions, workflow: str, **options: Any) -> dg.ExecuteInProcessResult:
    """Run a workflow's job, which must succeed."""
    result = run(defs, workflow, **options)
    assert result.success, failures(result)
    return result


def failures(result: dg.ExecuteInProcessResult) -> str:
    """What the failed steps of a run said, causes included."""
    said = []
    for event in result.all_events:
        if event.is_step_failure or event.is_run_failure:
            data: Any = event.event_specific_data
            error = data.error
            while error is not None:
                said.append(f"{event.step_key}: {error.message.strip()}")
                error = error.cause
            user = getattr(data, "user_failure_data", None)
            said += [f"{event.step_key}: {user.description}"] if user and user.description else []
    return "\n".join(said)


def checks(result: dg.ExecuteInProcessResult) -> dict[tuple[str, str], dg.AssetCheckEvaluation]:
    """The check results of a run, by the asset's and the check's name."""
    return {(one.asset_key.path[-1], one.check_name): one for one in result.get_asset_check_evaluations()}


def metadata(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    """The metadata of an asset's materialization in a run."""
    found = [
        event.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key and event.asset_key.path[-1] == asset
    ]
    (last,) = found
    return {name: value.value for name, value in last.items()}


def objects(lake: Lake, *layers: str) -> dict[str, str]:
    """Every object of some layers (all tables' by default), by key, with a digest of its bytes: quick to compare."""
    wanted = layers or ("bronze", "silver", "quarantine", "gold")
    found = (one.key for layer in wanted for one in lake.objects(f"{layer}/"))
    return {key: sha256(lake.read(key) or b"").hexdigest() for key in found}


def csv_of(lake: Lake, key: str, *, without: Iterable[str] = ()) -> str:
    """A Parquet object as the CSV of an `ORDER BY ALL` query, columns of the run left out as asked; '' if absent."""
    content = lake.read(key)
    if content is None:
        return ""
    with lake.scratch() as scratch:
        path, out = scratch.path(".parquet"), scratch.path(".csv")
        path.write_bytes(content)
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            table = f"read_parquet({literal(str(path))})"
            names = [row[0] for row in connection.execute(f"DESCRIBE FROM {table}").fetchall()]
            shown = ", ".join(f'"{name}"' for name in names if name not in set(without))
            connection.execute(f"COPY (SELECT {shown} FROM {table} ORDER BY ALL) TO {literal(str(out))} (HEADER)")
        return out.read_bytes().decode()


def rows_of(lake: Lake, key: str) -> list[dict[str, Any]]:
    """A Parquet object's rows."""
    import io

    import polars as pl

    content = lake.read(key)
    return [] if content is None else pl.read_parquet(io.BytesIO(content)).to_dicts()


def state(lake: Lake) -> dict[str, str]:
    """What the tables say, whatever run said it: silver, quarantine and gold as text, without columns of the run."""
    keys = [
        found.key
        for layer in ("silver", "quarantine", "gold")
        for found in lake.objects(f"{layer}/")
        if found.key.endswith(".parquet") and "/archive/" not in found.key and "/_versions/" not in found.key
    ]
    together = {f"published {name}": key for name, key in published_keys(lake).items()}
    named = dict(zip(sorted(keys), sorted(keys), strict=True)) | together
    return {name: csv_of(lake, key, without=OF_THE_RUN) for name, key in named.items()}


def published_keys(lake: Lake) -> dict[str, str]:
    """Where each table of each workflow's published set lies, by `workflow.table`."""
    sets = {workflow: read_set(lake, workflow) for workflow in lake.folders("gold/")}
    return {name: key for workflow, one in sets.items() if one for name, key in one.keys(workflow).items()}


def leftovers(lake: Lake) -> list[str]:
    """What a clean run must not leave: bronze files no ledger knows, task folders, temporary files."""
    from flowforge_resources.layout import TableId
    from flowforge_resources.ledger import read_ledger

    stored = [found.key for found in lake.objects("bronze/")]  # with the ledgers of all tables
    tables = {TableId(*key.split("/")[1:3]) for key in stored}
    known = {entry.bronze_file for table in tables for entry in read_ledger(lake, table).data_after(0)}
    lost = [key for key in stored if key.endswith(".parquet") and "/_ledger/" not in key and key not in known]
    left = [path for path in lake.scratch_root.rglob("*") if path.is_file() and "locks" not in path.parts]
    tasks = list(lake.scratch_root.glob("task-*"))
    return [*lost, *(str(path) for path in (*left, *tasks))]
