"""How fast CSV files become Parquet, against bare Polars on the same bytes in the same run.

`python -m benchmarks.csv_speed [--mb 200] [--rounds 3] [--gb 5]`. Each figure is a process of its own; CPU seconds are
its user and system time, so the ratios hold on a shared machine. Bare is `scan_csv` (all text) to `sink_parquet`;
read is `read_any(path).frame()` to the same; ingest is bronze's whole step, with hashes and books. Bare Polars cannot
read the damaged file: it is compared with the plain one, whose rows it has.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import Usage, clean_env, measure, medians, warm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HEADER = "order_id,customer,product,amount,day,status,email,quantity"
WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "river", "stone", "cloud", "maple", "orange"]
KINDS, SMALL_FILES, SMALL_BYTES, PAGE_ROWS, DAMAGED_EVERY = ("plain", "quoted", "damaged"), 1000, 10_000, 40_000, 500


def cells(rng: random.Random) -> list[str]:
    """One record without its id."""
    day = f"2026-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"
    words = [rng.choice(WORDS) for _ in range(3)]
    amount, status = f"{rng.random() * 1000:.2f}", rng.choice(["NEW", "PAID", "SHIPPED"])
    return [
        f"C{rng.randrange(10**6):06}",
        f"{words[0]} {words[1]}",
        amount,
        day,
        status,
        f"{words[2]}@example.com",
        "7",
    ]


def plain(row: list[str], _place: int) -> str:
    return ",".join(row)


def quoted(row: list[str], place: int) -> str:
    """Three quoted cells; delimiters, doubled quotes and line ends inside them."""
    inner = f"{row[2]}, " + ('said ""x""' if place % 7 == 0 else "") + ("\nnext" if place % 50 == 0 else "")
    return f'{row[0]},"{row[1]}","{inner}",{",".join(row[3:6])},"{row[6]}",{row[7]}'


def damaged(row: list[str], place: int) -> str:
    """One row in 500 has cells too few, a quote inside a cell, or a cell too many."""
    if place % DAMAGED_EVERY != DAMAGED_EVERY // 2:
        return ",".join(row)
    broken = [row[:-2], [*row[:2], 'say "x" now', *row[3:]], [*row, "extra"]]
    return ",".join(broken[place // DAMAGED_EVERY % 3])


def write(path: Path, size: int, line: Callable[[list[str], int], str]) -> None:
    """Write a file of at least this many bytes."""
    page = [cells(random.Random(place)) for place in range(min(PAGE_ROWS, size // 65))]
    first, written = 0, 0
    with path.open("wb") as file:
        file.write(f"{HEADER}\n".encode())
        while written < size:
            written += file.write("".join(f"{line([str(first + i), *r], i)}\n" for i, r in enumerate(page)).encode())
            first += len(page)


def job(how: str, paths: Sequence[Path], target: Path) -> None:
    """Do one measured job, in a process of its own."""
    import polars as pl

    if how == "bare":
        schema = dict.fromkeys(HEADER.split(","), pl.String())
        pl.scan_csv(list(paths), schema=schema).sink_parquet(target)
    elif how == "read":
        from flowforge_assets.formats.csv_read import read_any

        pl.concat([read_any(path).frame() for path in paths]).sink_parquet(
            target, compression="zstd", compression_level=1
        )
    elif how == "ingest":
        _ingest(paths, target)


def _ingest(paths: Sequence[Path], target: Path) -> None:
    from datetime import UTC, datetime

    from flowforge_assets.formats.file_options import FileOptions
    from flowforge_assets.table_spec import TableSpec
    from flowforge_assets.transforms.ingest import LandedFile, ingest
    from flowforge_resources.layout import TableId

    spec = TableSpec(TableId("shop", "orders"), "*", FileOptions(), (), (), (), "")
    ingest([LandedFile(path.name, path) for path in paths], spec, datetime.now(UTC), target)


def timed(how: str, source: Path, folder: Path) -> Usage:
    """Measure one job; its interpreter and imports are in the figure."""
    command = [sys.executable, "-m", "benchmarks.csv_speed", "--job", how, "--source", str(source)]
    command += ["--target", str(folder / "out.parquet")]
    return measure(command, env=clean_env(), cwd=Path.cwd(), log=folder / "log.txt")


def compare(name: str, sources: dict[str, Path], folder: Path, rounds: int) -> dict[str, Usage]:
    """Measure all jobs in turn, several rounds, and print medians and ratios to the first."""
    taken: dict[str, list[Usage]] = {how: [] for how in sources}
    for _ in range(rounds):
        for how, source in sources.items():
            taken[how].append(timed(how, source, folder))
    found = {how: medians(usages) for how, usages in taken.items()}
    base = next(iter(found.values()))
    for how, usage in found.items():
        path = sources[how]
        size = sum(f.stat().st_size for f in path.iterdir()) if path.is_dir() else path.stat().st_size
        print(
            f"{name:<14}{how:<8}{size / usage.cpu_s / 1e6:7.0f} MB per CPU s  cpu {usage.cpu_s:6.2f} s  wall {usage.wall_s:6.2f} s"
            f"  throughput to {next(iter(found))}: cpu {base.cpu_s / usage.cpu_s:.2f} wall {base.wall_s / usage.wall_s:.2f}"
            f"  peak {usage.peak_mb:.0f} MB",
            flush=True,
        )
    return found


def run(megabytes: float, gigabytes: float, rounds: int, folder: Path) -> None:
    """Make the files, and measure."""
    writers = dict(zip(KINDS, (plain, quoted, damaged), strict=True))
    for kind, line in writers.items():
        write(folder / f"{kind}.csv", int(megabytes * 1e6), line)
    for kind in KINDS:
        warm(folder)
        bare = folder / f"{'plain' if kind == 'damaged' else kind}.csv"
        compare(kind, {"bare": bare, "read": folder / f"{kind}.csv", "ingest": folder / f"{kind}.csv"}, folder, rounds)
    small = folder / "small"
    small.mkdir()
    for place in range(SMALL_FILES):
        write(small / f"{place:04}.csv", SMALL_BYTES, plain)
    write(folder / "one.csv", sum(path.stat().st_size for path in small.iterdir()), plain)
    one = compare("one file", {"ingest": folder / "one.csv"}, folder, rounds)["ingest"]
    many = compare("1,000 files", {"ingest": small}, folder, rounds)["ingest"]
    print(f"1,000 files cost {many.cpu_s / one.cpu_s:.1f} times the CPU of one file of their bytes (imports in both)")
    if gigabytes:
        write(folder / "large.csv", int(gigabytes * 1e9), plain)
        compare("large", {"bare": folder / "large.csv", "ingest": folder / "large.csv"}, folder, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=float, default=200)
    parser.add_argument("--gb", type=float, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--job", choices=["bare", "read", "ingest"], help=argparse.SUPPRESS)
    parser.add_argument("--source", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--target", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.job:
        paths = sorted(given.source.iterdir()) if given.source.is_dir() else [given.source]
        job(given.job, paths, given.target)
        return
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        run(given.mb, given.gb, given.rounds, Path(folder))


if __name__ == "__main__":
    main()
