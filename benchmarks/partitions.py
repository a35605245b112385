"""What a daily upsert into a partitioned table costs, by how much the table holds.

`python -m benchmarks.partitions [--days 500] [--rows-a-day 100000]`. A table of that many daily partitions, and one of
the last three of them alone, take the same batch: 100,000 rows, half of them new, half changed, in the last three days.
Measured is the silver step of a real Dagster run, in a process of its own: wall and CPU seconds, peak memory, and bytes
read by system calls. The tables are made by DuckDB and published as a run would; they are removed at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from benchmarks.measure import clean_env

if TYPE_CHECKING:
    from collections.abc import Sequence

FIRST, TOUCHED, BATCH_ROWS, KEYS_A_DAY = date(2024, 1, 1), 3, 100_000, 1_000_000
COLUMNS = "order_id,order_date,customer,status,total"
FIGURES = ("wall_s", "cpu_s", "peak_mb", "read_mb", "written_mb")


def make_table(root: Path, days: Sequence[int], rows_a_day: int) -> None:
    """Publish a table with these days, which a ledger says is up to date."""
    from benchmarks.partitioned.definitions import defs as _loaded  # noqa: F401  # fails early where it does not load
    from flowforge_assets.components import Table
    from flowforge_assets.transforms.cast import surrogate_key
    from flowforge_resources.duck import connect, literal
    from flowforge_resources.lake import Lake
    from flowforge_resources.layout import utc_now
    from flowforge_resources.ledger import LedgerEntry, commit
    from flowforge_resources.partitioned import LocalPartition, StagedPartitions, publish_partitions
    from flowforge_resources.published import copy_with_facts, read_footer

    lake = Lake(str(root))
    tables = {part.name: part for part in _parts(Table)}
    (spec,) = (part.spec(tables) for part in tables.values())
    commit(lake, spec.id, LedgerEntry(1, "", "made", None, len(days) * rows_a_day))
    facts: dict[str, Any] = {
        "table": str(spec.id),
        "version": 1,
        "nonce": uuid4().hex,
        "run_id": "made",
        "published_at": utc_now().isoformat(),
        "bronze_version": 1,
        "definition": spec.fingerprint,
    }
    files = {}
    with lake.scratch() as scratch, connect(scratch.root) as connection:
        for day in days:
            path = scratch.path(".parquet")
            rows = (
                f"SELECT {day * KEYS_A_DAY} + i AS order_id, DATE {literal(str(FIRST + timedelta(day)))} AS order_date, "
                f"(hash(i, {day}) % 1000000)::BIGINT AS customer, ['NEW', 'PAID', 'SENT'][1 + (i % 3)::INTEGER] AS status, "
                f"((hash({day}, i) % 100000) / 100)::DECIMAL(12,2) AS total FROM range({rows_a_day}) r(i)"
            )
            audit = f"'made.csv' AS _source_file, order_id AS _row_number, TIMESTAMP '{FIRST}' AS _ingested_at"
            query = f"SELECT {surrogate_key(spec.keys)} AS orders_key, *, {audit} FROM ({rows})"
            connection.execute(copy_with_facts(query, path, facts))
            bounds = (str(day * KEYS_A_DAY), str(day * KEYS_A_DAY + rows_a_day - 1))
            files[str(FIRST + timedelta(day))] = LocalPartition(path, rows_a_day, {"order_id": bounds})
        columns = read_footer(path)[2]
        publish_partitions(lake, spec.id, StagedPartitions(None, files, facts, columns))


def _parts(kind: Any) -> list[Any]:
    from benchmarks.partitioned.definitions import defs

    tree = defs.component_tree
    if tree is None:
        raise AssertionError("definitions from a folder know their tree")
    return list(tree.get_all_components(kind))


def land(root: Path, days: Sequence[int], rows_a_day: int, number: int) -> None:
    """The n-th batch in the last days: half of its rows change one that is there, half are new."""
    each = BATCH_ROWS // TOUCHED // 2
    folder = root / "landing" / "daily" / "orders"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"batch_{uuid4().hex}.csv").open("w") as out:
        out.write(f"{COLUMNS}\n")
        for day in days[-TOUCHED:]:
            first, moment = day * KEYS_A_DAY, FIRST + timedelta(day)
            new = rows_a_day + number * each
            places = [*range(each), *range(new, new + each)]
            out.writelines(f"{first + place},{moment},{number},DONE,{place % 1000}.50\n" for place in places)


def run_silver() -> dict[str, float]:
    """Bronze, then silver in real runs of this process; what silver took."""
    import dagster as dg

    from benchmarks.partitioned.definitions import defs

    quiet: Any = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    job = defs.resolve_job_def("daily")
    with dg.DagsterInstance.ephemeral() as instance:
        bronze, silver = (dg.AssetKey(["daily", f"{layer}_orders"]) for layer in ("bronze", "silver"))
        job.execute_in_process(instance=instance, run_config=quiet, asset_selection=[bronze])
        before, began, cpu = _io(), time.perf_counter(), time.process_time()
        result = job.execute_in_process(instance=instance, run_config=quiet, asset_selection=[silver])
        after = _io()
        used = {"wall_s": time.perf_counter() - began, "cpu_s": time.process_time() - cpu}
    (said,) = (
        event.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.materialization.partition is None
    )
    shown = {name: value.value for name, value in said.items() if isinstance(value.value, int | float)}
    used |= {
        "read_mb": (after["rchar"] - before["rchar"]) / 1e6,
        "written_mb": (after["wchar"] - before["wchar"]) / 1e6,
    }
    return {**used, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, **shown}


def _io() -> dict[str, int]:
    lines = Path("/proc/self/io").read_text().splitlines()
    return {name: int(value) for name, value in (line.split(": ") for line in lines)}


def child(*arguments: str, root: Path) -> str:
    """This module again, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.partitions", *arguments]
    env = clean_env(FLOWFORGE_LAKE_URL=str(root))
    return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout


def compare(folder: Path, days: int, rows_a_day: int, rounds: int) -> None:
    """Make both tables, give each the batch a few times, print the medians and their ratios."""
    tables = {"3 partitions": range(days - TOUCHED, days), f"{days} partitions": range(days)}
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in tables}
    lakes = {name: folder / f"lake-{len(there)}" for name, there in tables.items()}
    for name, there in tables.items():
        began = time.perf_counter()
        child("--make", str(there.start), str(there.stop), str(rows_a_day), root=lakes[name])
        size = sum(path.stat().st_size for path in lakes[name].rglob("archive/*.parquet"))
        print(
            f"{name}: {len(there) * rows_a_day:,} rows, {size / 1e6:,.0f} MB, made in {time.perf_counter() - began:.0f} s"
        )
    for number in range(rounds):
        for name, there in tables.items():
            land(lakes[name], there, rows_a_day, number)
            taken[name].append(json.loads(child("--run", root=lakes[name]).splitlines()[-1]))
    small, large = ({key: median(one[key] for one in taken[name]) for key in taken[name][0]} for name in tables)
    names = list(tables)
    print(f"{'silver step, median of ' + str(rounds):<28}{names[0]:>16}{names[1]:>16}{'ratio':>8}")
    for key in FIGURES:
        print(f"{key:<28}{small[key]:>16.2f}{large[key]:>16.2f}{large[key] / small[key]:>8.2f}")
    for key in sorted(large.keys() - set(FIGURES)):
        print(f"{key:<28}{small.get(key, 0):>16,.6g}{large[key]:>16,.10g}")


def main() -> None:
    """As the module says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=500)
    parser.add_argument("--rows-a-day", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--make", type=int, nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--run", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.make:
        make_table(Path(os.environ["FLOWFORGE_LAKE_URL"]), range(*given.make[:2]), given.make[2])
    elif given.run:
        print(json.dumps(run_silver()))
    else:
        folder = Path(tempfile.mkdtemp(prefix="flowforge-partitions-"))
        try:
            compare(folder, given.days, given.rows_a_day, given.rounds)
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
