"""What starting costs: a bare one-step Dagster job, the sample workflow, and loading its definitions.

    python -m benchmarks.startup             # three rounds and one to warm up: a minute on an idle machine
    python -m benchmarks.startup --runs 5

Goals: the sample workflow at most 2.5 times the bare job; loading the definitions under 0.5 s beyond `import dagster`.
A start is Python at work on one core: on a machine with other work, CPU time says what wall time would elsewhere.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from benchmarks.contenders import CHECKOUT, dagster_env, dagster_job
from benchmarks.measure import Usage, measure, medians

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLES = CHECKOUT / "sample-data"
MOST_TIMES_BARE, MOST_LOADING_S = 2.5, 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="rounds of everything, alternating (medians are shown)")
    folder = Path(tempfile.mkdtemp(prefix="flowforge-startup-"))
    try:
        found = _rounds(folder, parser.parse_args().runs)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _print({name: medians(usages) for name, usages in found.items()})


def _rounds(folder: Path, runs: int) -> dict[str, list[Usage]]:
    """Measure each in turn; the first round only compiles bytecode and is thrown away."""
    found: dict[str, list[Usage]] = {}
    with Console().status("measuring") as status:
        for number in range(runs + 1):
            for name, take in _measurements(folder / str(number)).items():
                status.update(f"round {number} of {runs}: {name}")
                found.setdefault(name, []).append(take())
            shutil.rmtree(folder / str(number))
    return {name: usages[1:] for name, usages in found.items()}


def _measurements(folder: Path) -> dict[str, Callable[[], Usage]]:
    """What is measured in a round, in order; the retail lake of a round lives through it."""

    def run(name: str, command: list[str]) -> Usage:
        env = dagster_env(folder / "dagster") | {"FLOWFORGE_LAKE_URL": str(folder / "lake")}
        return measure(command, env=env, cwd=CHECKOUT, log=folder / f"{name}.log")

    def retail(day: int) -> Usage:
        shutil.copytree(SAMPLES / f"day{day}", folder / "lake" / "landing" / "retail", dirs_exist_ok=True)
        return run(f"retail{day}", dagster_job("flowforge_assets.definitions", "retail"))

    return {
        "python": lambda: run("python", [sys.executable, "-c", "pass"]),
        "import dagster": lambda: run("import", [sys.executable, "-c", "import dagster"]),
        "load definitions": lambda: run("load", [sys.executable, "-c", "import flowforge_assets.definitions"]),
        "bare one-step job": lambda: run("bare", dagster_job("benchmarks.tpch.bare", "bare")),
        "retail, day 1": lambda: retail(1),
        "retail, day 2": lambda: retail(2),
        "retail, nothing new": lambda: run("idle", dagster_job("flowforge_assets.definitions", "retail")),
    }


def _print(found: dict[str, Usage]) -> None:
    bare = found["bare one-step job"]
    table = Table(title="Start-up: medians", title_justify="left")
    table.add_column("what")
    for heading in ("wall s", "CPU s", "peak MB", "wall / bare", "CPU / bare"):
        table.add_column(heading, justify="right")
    for name, usage in found.items():
        ratios = f"{usage.wall_s / bare.wall_s:.2f}x", f"{usage.cpu_s / bare.cpu_s:.2f}x"
        table.add_row(name, f"{usage.wall_s:.2f}", f"{usage.cpu_s:.2f}", f"{usage.peak_mb:.0f}", *ratios)
    console = Console()
    console.print(table)
    loaded, imported, first = found["load definitions"], found["import dagster"], found["retail, day 1"]
    console.print(
        f"Loading the definitions adds {loaded.wall_s - imported.wall_s:.2f} s to `import dagster`, "
        f"{loaded.cpu_s - imported.cpu_s:.2f} s of CPU (goal: under {MOST_LOADING_S} s)."
    )
    console.print(
        f"The sample workflow's first day takes {first.wall_s / bare.wall_s:.2f} bare jobs, "
        f"{first.cpu_s / bare.cpu_s:.2f} by CPU (goal: at most {MOST_TIMES_BARE})."
    )


if __name__ == "__main__":
    main()
