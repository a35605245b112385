"""How fast CSV files become bronze, against bare Polars on the same bytes in the same run, and in how much memory.

`python -m benchmarks.csv_speed [--mb 200] [--rounds 3] [--gb 0]` prints the goals, each with its ratio and whether it is met.

- bare: `scan_csv(path, infer_schema=False).sink_parquet(target)`, as anybody writes it; the goal is 0.9 of its throughput.
- alike: the same with bronze's compression (ZSTD level 1, not 3) and told the columns, so that it looks for nothing.
- tuned: as alike, and told to parse in pieces of the size bronze uses (`POLARS_CSV_CHUNK_SIZE`). Both for information.
- ingest: what bronze does with files: deciding, proving, hashing, reading, writing, counting.
- step: the bronze asset, materialized by Dagster on a local lake.

Each figure is a process of its own, and the contenders take turns. Wall and CPU seconds (user and system) are the job's
alone, after the interpreter's start and all imports; a goal is met if it is by both. Ratios are medians of those within
a round. Peaks are the whole process's. Bare Polars cannot read a damaged file; that one is compared with the clean one.
What was found stands in `benchmarks/README.md`.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.csv_data import COLUMNS
from benchmarks.measure import Usage, clean_env, measure, medians

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

POLARS = ("bare", "alike", "tuned")
JOBS = (*POLARS, "ingest", "step")
SMALL_FILES, SMALL_BYTES = 1000, 10_000
CLEAN_RATIO, MANY_FILES_RATIO, DAMAGED_RATIO, PEAK_MB = 0.9, 3.0, 1 / 3, 1000.0
TOOK_MARK = "took "


@dataclass(frozen=True)
class Ratio:
    """How two jobs compare, by the clock and by the processor's time."""

    wall: float
    cpu: float

    def __str__(self) -> str:
        return f"wall {self.wall:.2f}, cpu {self.cpu:.2f}"


@dataclass(frozen=True)
class Goal:
    """One promise of the issue, and how it came out."""

    name: str
    wanted: str
    found: str
    met: bool

    def __str__(self) -> str:
        return f"{self.name:<60}{self.wanted:>10}{self.found:>24}   {'met' if self.met else 'MISSED'}"


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
    before, start = _cpu_s(), time.perf_counter()
    job()
    print(TOOK_MARK, time.perf_counter() - start, _cpu_s() - before)


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def timed(how: str, source: Path, folder: Path) -> Usage:
    """Measure one job: its own wall and CPU time, its process's peak."""
    log = folder / "log.txt"
    with tempfile.TemporaryDirectory(dir=folder) as work:
        command = [sys.executable, "-m", "benchmarks.csv_speed", "--job", how, "--source", str(source)]
        command += ["--target", f"{work}/out.parquet"]
        usage = measure(command, env=clean_env(), cwd=Path.cwd(), log=log, reads=[folder])
    said = next(line for line in log.read_text().splitlines() if line.startswith(TOOK_MARK))
    wall_s, cpu_s = map(float, said.removeprefix(TOOK_MARK).split())
    return Usage(wall_s, cpu_s, usage.peak_mb)


def compare(title: str, jobs: Mapping[str, tuple[str, Path]], folder: Path, rounds: int) -> dict[str, list[Usage]]:
    """Measure jobs (name: how, source) in turn, several rounds."""
    taken: dict[str, list[Usage]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, (how, source) in jobs.items():
            taken[name].append(timed(how, source, folder))
    print(f"\n{title}")
    for name, usages in taken.items():
        size, usage = _size(jobs[name][1]) / 1e6, medians(usages)
        print(
            f"  {name:<16}{size:7.0f} MB  wall {usage.wall_s:7.3f} s  cpu {usage.cpu_s:7.3f} s  peak {usage.peak_mb:5.0f} MB",
            flush=True,
        )
    return taken


def cost(one: Sequence[Usage], other: Sequence[Usage]) -> Ratio:
    """What one job costs of another, medians over the rounds: within a round the machine was the same."""
    rounds = list(zip(one, other, strict=True))
    return Ratio(median(a.wall_s / b.wall_s for a, b in rounds), median(a.cpu_s / b.cpu_s for a, b in rounds))


def throughput(one: Sequence[Usage], other: Sequence[Usage]) -> Ratio:
    """How fast one job is against another on the same bytes."""
    return cost(other, one)


def _size(source: Path) -> int:
    return sum(_size(path) for path in source.iterdir()) if source.is_dir() else source.stat().st_size


# The goals.


def run(megabytes: float, gigabytes: float, rounds: int, folder: Path) -> list[Goal]:
    """Make the files, measure, and judge."""
    kinds = ("plain", "quoted", "damaged", "late")
    files = {kind: make(kind, int(megabytes * 1e6), folder / f"{kind}.csv") for kind in kinds}
    goals: list[Goal] = []
    for kind in ("plain", "quoted"):
        found = compare(f"clean, {kind}", {how: (how, files[kind]) for how in (*POLARS, "ingest")}, folder, rounds)
        ratios = {how: throughput(found["ingest"], found[how]) for how in POLARS}
        goals.append(at_least(f"clean CSV ({kind}), throughput to bare Polars", ratios["bare"], CLEAN_RATIO))
        print(f"  for information, throughput to Polars alike {ratios['alike']}; tuned {ratios['tuned']}")
    found = compare("damaged", {kind: ("ingest", files[kind]) for kind in ("plain", "damaged", "late")}, folder, rounds)
    for kind, said in (("damaged", "damaged CSV"), ("late", "CSV damaged in its last line")):
        goals.append(at_least(f"{said}, throughput to clean", throughput(found[kind], found["plain"]), DAMAGED_RATIO))
    return [*goals, *many_files(folder, rounds), *(memory(gigabytes, folder) if gigabytes else [])]


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
        ratio = cost(found["1,000 files"], found["one file"])
        goals.append(at_most(f"1,000 files of 10 KB ({how}), cost to one file", ratio, MANY_FILES_RATIO))
    return goals


def memory(gigabytes: float, folder: Path) -> list[Goal]:
    """Peaks of the whole step on large files, clean and damaged near the end."""
    goals = []
    for kind in ("plain", "late"):
        path = make(kind, int(gigabytes * 1e9), folder / "large.csv")
        found = compare(f"large, {kind}", {"step": ("step", path)}, folder, 1)["step"]
        peak = found[0].peak_mb
        goals.append(
            Goal(
                f"{gigabytes:g} GB CSV ({kind}), peak MB of the step", f"<= {PEAK_MB:g}", f"{peak:.0f}", peak <= PEAK_MB
            )
        )
        path.unlink()
    return goals


def make(kind: str, size: int, path: Path) -> Path:
    """Write a file in a process of its own: a child's peak starts at its parent's size."""
    command = [sys.executable, "-m", "benchmarks.csv_data", kind, str(size), str(path)]
    measure(command, env=clean_env(), cwd=Path.cwd(), log=path.with_suffix(".log"))
    return path


def at_least(name: str, found: Ratio, wanted: float) -> Goal:
    return Goal(name, f">= {wanted:.2f}", str(found), min(found.wall, found.cpu) >= wanted)


def at_most(name: str, found: Ratio, wanted: float) -> Goal:
    return Goal(name, f"<= {wanted:g}", str(found), max(found.wall, found.cpu) <= wanted)


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
    print(f"\n{'goal':<60}{'wanted':>10}{'found':>24}")
    for goal in goals:
        print(goal)


if __name__ == "__main__":
    main()
