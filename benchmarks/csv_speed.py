"""How fast CSV files become bronze, against bare Polars on the same bytes in the same run, and in how much memory.

`python -m benchmarks.csv_speed [--mb 200] [--rounds 3] [--gb 0]` prints the goals, each with its ratio and whether it is met.

- bare: `scan_csv(path, infer_schema=False).sink_parquet(target)`, as anybody writes it; the goal is 0.9 of its throughput.
- alike: the same with bronze's compression (ZSTD level 1, not 3) and told the columns, so that it looks for nothing.
- tuned: as alike, and told to parse in pieces of the size bronze uses (`POLARS_CSV_CHUNK_SIZE`). Both for information.
- ingest: what bronze does with files: deciding, proving, hashing, reading, writing, counting.
- step: the bronze asset, materialized by Dagster on a local lake.

Each figure is a process of its own, and the contenders take turns. CPU seconds are the user and system time of the job
alone, after the interpreter's start and all imports: they hold on a shared machine, and are the same for one file of
any size. Peaks are the whole process's. Bare Polars cannot read a damaged file; that one is compared with the clean one.
Found on an idle 2-core machine, medians of three rounds of 200 MB: plain 0.91 of bare, 0.79 of alike, 0.83 of tuned; quoted
1.02, 0.86 and 0.91. Peaks of 247 MB against 336 and 140.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.csv_data import COLUMNS
from benchmarks.measure import Usage, clean_env, measure, medians, warm

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

POLARS = ("bare", "alike", "tuned")
JOBS = (*POLARS, "ingest", "step")
SMALL_FILES, SMALL_BYTES = 1000, 10_000
CLEAN_RATIO, MANY_FILES_RATIO, DAMAGED_RATIO, PEAK_MB = 0.9, 3.0, 1 / 3, 1000.0
CPU_MARK = "cpu_s "


@dataclass(frozen=True)
class Goal:
    """One promise of the issue, and how it came out."""

    name: str
    wanted: str
    found: str
    met: bool

    def __str__(self) -> str:
        return f"{self.name:<58}{self.wanted:>12}{self.found:>12}   {'met' if self.met else 'MISSED'}"


# What is measured, each in a process of its own.


def prepared(how: str, paths: Sequence[Path], target: Path) -> Callable[[], object]:
    """Import and set up what a job needs; the job itself is what is returned."""
    if how == "bare":
        return _bare(paths, target)
    if how == "alike":
        return _alike(paths, target)
    if how == "tuned":
        from flowforge_assets.formats.csv_fast import PARSED_BYTES

        os.environ["POLARS_CSV_CHUNK_SIZE"] = str(PARSED_BYTES)
        return _alike(paths, target)
    from flowforge_assets.loading import collect_garbage_seldom

    collect_garbage_seldom()
    return _ingest(paths, target) if how == "ingest" else _step(paths, target)


def _bare(paths: Sequence[Path], target: Path) -> Callable[[], object]:
    import polars as pl

    return lambda: pl.scan_csv(list(paths), infer_schema=False).sink_parquet(target)


def _alike(paths: Sequence[Path], target: Path) -> Callable[[], object]:
    import polars as pl

    schema = dict.fromkeys(COLUMNS, pl.String())
    options = {"compression": "zstd", "compression_level": 1}
    return lambda: pl.scan_csv(list(paths), schema=schema).sink_parquet(target, **options)  # type: ignore[arg-type]


def _ingest(paths: Sequence[Path], target: Path) -> Callable[[], object]:
    from datetime import UTC, datetime

    import flowforge_assets.formats.csv_robust
    import flowforge_assets.transforms.bronze_parquet  # noqa: F401 -- its imports are not the job's cost
    from flowforge_assets.formats.file_options import FileOptions
    from flowforge_assets.table_spec import TableSpec
    from flowforge_assets.transforms.ingest import LandedFile, ingest
    from flowforge_resources.layout import TableId

    spec = TableSpec(TableId("shop", "orders"), "*", FileOptions(), (), (), (), "")
    files = [LandedFile(f"landing/shop/orders/{path.name}", path) for path in paths]
    return lambda: ingest(files, spec, datetime.now(UTC), target)


def _step(paths: Sequence[Path], target: Path) -> Callable[[], object]:
    import dagster as dg

    import flowforge_assets.formats.csv_robust
    import flowforge_assets.transforms.bronze_parquet  # noqa: F401 -- its imports are not the job's cost
    from flowforge_assets.bronze.landed import build_bronze
    from flowforge_assets.formats.file_options import FileOptions
    from flowforge_assets.running.step import AssetFace
    from flowforge_assets.table_spec import TableSpec
    from flowforge_resources.default_resources import default_resources
    from flowforge_resources.layout import TableId

    lake = Path(tempfile.mkdtemp(dir=target.parent))
    os.environ["FLOWFORGE_LAKE_URL"] = str(lake)
    table = TableId("shop", "orders")
    (lake / table.landing).mkdir(parents=True)
    for path in paths:
        os.link(path, lake / table.landing / path.name)
    asset = build_bronze(TableSpec(table, "*", FileOptions(), (), (), (), ""), AssetFace())
    return lambda: dg.materialize([asset], resources=default_resources())


def run_job(how: str, source: Path, target: Path) -> None:
    """Do one job, and say what it alone took."""
    paths = sorted(source.iterdir()) if source.is_dir() else [source]
    job = prepared(how, paths, target)
    before = resource.getrusage(resource.RUSAGE_SELF)
    job()
    after = resource.getrusage(resource.RUSAGE_SELF)
    print(CPU_MARK, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def timed(how: str, source: Path, folder: Path) -> Usage:
    """Measure one job: its own CPU time, its process's wall time and peak."""
    log = folder / "log.txt"
    with tempfile.TemporaryDirectory(dir=folder) as work:
        command = [sys.executable, "-m", "benchmarks.csv_speed", "--job", how, "--source", str(source)]
        usage = measure([*command, "--target", f"{work}/out.parquet"], env=clean_env(), cwd=Path.cwd(), log=log)
    said = next(line for line in log.read_text().splitlines() if line.startswith(CPU_MARK))
    return Usage(usage.wall_s, float(said.removeprefix(CPU_MARK)), usage.peak_mb)


def compare(title: str, jobs: Mapping[str, tuple[str, Path]], folder: Path, rounds: int) -> dict[str, Usage]:
    """Measure jobs (name: how, source) in turn, several rounds; medians."""
    taken: dict[str, list[Usage]] = {name: [] for name in jobs}
    warm(folder)
    for _ in range(rounds):
        for name, (how, source) in jobs.items():
            taken[name].append(timed(how, source, folder))
    found = {name: medians(usages) for name, usages in taken.items()}
    print(f"\n{title}")
    for name, usage in found.items():
        size = _size(jobs[name][1]) / 1e6
        rate = size / usage.cpu_s
        print(
            f"  {name:<16}{size:7.0f} MB {rate:6.0f} MB per CPU s  cpu {usage.cpu_s:6.2f} s  wall {usage.wall_s:6.2f} s  peak {usage.peak_mb:5.0f} MB",
            flush=True,
        )
    return found


def _size(source: Path) -> int:
    return sum(_size(path) for path in source.iterdir()) if source.is_dir() else source.stat().st_size


# The goals.


def run(megabytes: float, gigabytes: float, rounds: int, folder: Path) -> list[Goal]:
    """Make the files, measure, and judge."""
    files = {kind: make(kind, int(megabytes * 1e6), folder / f"{kind}.csv") for kind in ("plain", "quoted", "damaged")}
    goals: list[Goal] = []
    for kind in ("plain", "quoted"):
        found = compare(f"clean, {kind}", {how: (how, files[kind]) for how in (*POLARS, "ingest")}, folder, rounds)
        ratios = {how: found[how].cpu_s / found["ingest"].cpu_s for how in POLARS}
        goals.append(at_least(f"clean CSV ({kind}), throughput to bare Polars", ratios["bare"], CLEAN_RATIO))
        print(f"  for information, throughput to Polars alike {ratios['alike']:.2f}, tuned {ratios['tuned']:.2f}")
    jobs = {kind: ("ingest", files[kind]) for kind in ("plain", "damaged")}
    found = compare("damaged against clean", jobs, folder, rounds)
    ratio = found["plain"].cpu_s / found["damaged"].cpu_s * _size(files["damaged"]) / _size(files["plain"])
    goals.append(at_least("damaged CSV, throughput to clean", ratio, DAMAGED_RATIO))
    goals += many_files(folder, rounds)
    return goals + (memory(gigabytes, folder) if gigabytes else [])


def many_files(folder: Path, rounds: int) -> list[Goal]:
    """1,000 small files against one with their bytes: reading and writing alone, and the whole step."""
    small = folder / "small"
    small.mkdir()
    one = make("plain", SMALL_FILES * SMALL_BYTES, folder / "one.csv")
    header, *lines = one.read_bytes().splitlines(keepends=True)
    each = len(lines) // SMALL_FILES + 1
    for place in range(SMALL_FILES):
        (small / f"{place:04}.csv").write_bytes(b"".join([header, *lines[place * each : (place + 1) * each]]))
    goals = []
    for how in ("ingest", "step"):
        found = compare(f"small files, {how}", {"one file": (how, one), "1,000 files": (how, small)}, folder, rounds)
        ratio = found["1,000 files"].cpu_s / found["one file"].cpu_s
        goals.append(at_most(f"1,000 files of 10 KB ({how}), cost to one file", ratio, MANY_FILES_RATIO))
    return goals


def memory(gigabytes: float, folder: Path) -> list[Goal]:
    """Peaks of the whole step on large files, clean and damaged near the end."""
    goals = []
    for kind in ("plain", "late"):
        path = make(kind, int(gigabytes * 1e9), folder / "large.csv")
        found = compare(f"large, {kind}", {"step": ("step", path)}, folder, 1)["step"]
        goals.append(at_most(f"{gigabytes:g} GB CSV ({kind}), peak MB of the step", found.peak_mb, PEAK_MB))
        path.unlink()
    return goals


def make(kind: str, size: int, path: Path) -> Path:
    """Write a file in a process of its own: a child's peak starts at its parent's size."""
    command = [sys.executable, "-m", "benchmarks.csv_data", kind, str(size), str(path)]
    measure(command, env=clean_env(), cwd=Path.cwd(), log=path.with_suffix(".log"))
    return path


def at_least(name: str, found: float, wanted: float) -> Goal:
    return Goal(name, f">= {wanted:.2f}", f"{found:.2f}", found >= wanted)


def at_most(name: str, found: float, wanted: float) -> Goal:
    return Goal(name, f"<= {wanted:g}", f"{found:.1f}", found <= wanted)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=float, default=200)
    parser.add_argument(
        "--gb", type=float, default=0, help="also measure the peak on files of this size; needs the disk"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--job", choices=JOBS, help=argparse.SUPPRESS)
    parser.add_argument("--source", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--target", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.job:
        run_job(given.job, given.source, given.target)
        return
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        goals = run(given.mb, given.gb, given.rounds, Path(folder))
    print(f"\n{'goal':<58}{'wanted':>12}{'found':>12}")
    for goal in goals:
        print(goal)


if __name__ == "__main__":
    main()
