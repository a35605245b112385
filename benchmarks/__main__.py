"""`make bench`: FlowForge against the plain script, alternating, on the same files, both judged by the same truth.

Here: the order of runs, the verdict and the tables it prints. A run that leaves one wrong table ends the benchmark with
an error: the speed of a wrong result is not reported.

Start-up is stated apart: what a run of the same workflow costs when nothing is new, measured after day 2 of every round,
and of it at most `MOST_STARTUP_S` is taken off before FlowForge is compared. The bare one-step Dagster job says how much of
that is Dagster's own. What the profile of a run says is in `benchmarks/README.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.contenders import CHECKOUT, Arena, Contender, FlowForge, Script, dagster_env, dagster_job
from benchmarks.measure import Usage, clean_env, measure, medians

CONTENDERS: dict[str, Contender] = {"flowforge": FlowForge(), "script": Script()}
RESULTS = CHECKOUT / "benchmarks" / "results"
DAYS = (1, 2)
# The goals of both days, beyond a start-up that is stated apart.
GOALS = {"wall": 1.10, "cpu": 1.20}
MOST_STARTUP_S = 3.0
# The largest peak in MB, by scale.
MEMORY_GOALS = {1.0: 1500, 5.0: 2500}
console = Console()


@dataclass
class Results:
    """Every measurement, by scale, day and contender.

    `bare` is the one-step Dagster job between the rounds; `quiet`, by scale, a run of the workflow with nothing new.
    """

    bare: list[Usage] = field(default_factory=list)
    quiet: dict[float, list[Usage]] = field(default_factory=dict)
    days: dict[tuple[float, int, str], list[Usage]] = field(default_factory=dict)
    seconds: dict[tuple[float, int, str], list[dict[str, float]]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "bare_dagster_job": [usage.as_dict() for usage in self.bare],
            "nothing_new": {str(scale): [usage.as_dict() for usage in usages] for scale, usages in self.quiet.items()},
            "runs": [
                {"scale": scale, "day": day, "contender": name, **usage.as_dict(), "layers_s": layers}
                for (scale, day, name), usages in self.days.items()
                for usage, layers in zip(usages, self.seconds[scale, day, name], strict=True)
            ],
        }


class WrongTablesError(Exception):
    """A contender's tables are not what the truth asks for."""


def main() -> None:
    arguments = _arguments()
    results = Results()
    started = datetime.now(UTC)
    folder = Path(tempfile.mkdtemp(prefix="flowforge-bench-", dir=arguments.work_dir))
    try:
        for scale in arguments.scale:
            _prepare(scale)
        _compile_bytecode(folder, arguments.only)
        for scale in arguments.scale:
            _measure_scale(results, folder, scale, arguments.runs, arguments.only)
            _print_scale(results, scale)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _print_bare(results)
    console.print(f"[dim]all numbers: {_write(results, started)}[/]")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scale", type=float, nargs="+", default=[0.01, 0.1, 1.0], help="TPC-H scale factors")
    parser.add_argument("--runs", type=int, default=3, help="rounds of both contenders a scale (medians are shown)")
    parser.add_argument("--only", choices=tuple(CONTENDERS), nargs="+", default=list(CONTENDERS), help="leave one out")
    parser.add_argument(
        "--work-dir", type=Path, default=None, help="where lakes are made; default: the temporary folder"
    )
    return parser.parse_args()


def _prepare(scale: float) -> None:
    """Make the files, in a process of its own, which may be large."""
    with console.status(f"landing files and truth of scale {scale:g}"):
        subprocess.run(
            [sys.executable, "-m", "benchmarks.tpch_data", "--scale", str(scale)],
            check=True,
            capture_output=True,
            cwd=CHECKOUT,
        )


def _compile_bytecode(folder: Path, names: list[str]) -> None:
    """Run each once at the smallest scale, unmeasured: nobody is charged for compiling Python."""
    _prepare(0.01)
    with console.status("warming up"):
        _bare_job(folder)
        for name in names:
            arena = Arena(folder / "warm-up" / name)
            arena.clear()
            CONTENDERS[name].prepare(arena)
            CONTENDERS[name].run_day(arena, 0.01, 1)


def _measure_scale(results: Results, folder: Path, scale: float, runs: int, names: list[str]) -> None:
    for number in range(1, runs + 1):
        results.bare.append(_bare_job(folder))
        for name in names:
            with console.status(f"scale {scale:g}, round {number} of {runs}: {name}"):
                _run_both_days(results, CONTENDERS[name], Arena(folder / name), scale)


def _bare_job(folder: Path) -> Usage:
    command = dagster_job("benchmarks.tpch.bare", "bare")
    return measure(command, env=dagster_env(folder / "bare"), cwd=CHECKOUT, log=folder / "bare.log")


def _run_both_days(results: Results, contender: Contender, arena: Arena, scale: float) -> None:
    arena.clear()
    contender.prepare(arena)
    for day in DAYS:
        usage = contender.run_day(arena, scale, day)
        _verify(contender, arena, scale, day)
        results.days.setdefault((scale, day, contender.name), []).append(usage)
        results.seconds.setdefault((scale, day, contender.name), []).append(contender.seconds(arena, day))
    if isinstance(contender, FlowForge):
        results.quiet.setdefault(scale, []).append(contender.run_again(arena))


def _verify(contender: Contender, arena: Arena, scale: float, day: int) -> None:
    books = arena.folder / f"books{day}.json"
    books.write_text(json.dumps(contender.books(arena, day)))
    judge = [sys.executable, "-m", "benchmarks.verify", "--lake", str(arena.lake), "--scale", str(scale)]
    verdict = subprocess.run(
        [*judge, "--day", str(day), "--books", str(books)],
        env=clean_env(),
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    if verdict.returncode:
        raise WrongTablesError(f"{contender.name}, scale {scale:g}, day {day}:\n{verdict.stdout}{verdict.stderr}")


def _print_scale(results: Results, scale: float) -> None:
    table = Table(title=f"TPC-H scale {scale:g}: medians", title_justify="left")
    for heading in ("day", "who"):
        table.add_column(heading)
    for heading in ("wall s", "CPU s", "peak MB", "bronze / silver / gold s"):
        table.add_column(heading, justify="right")
    for day in DAYS:
        found = {name: medians(usages) for (of, on, name), usages in results.days.items() if (of, on) == (scale, day)}
        for name, usage in found.items():
            layers = _layers(results.seconds[scale, day, name])
            table.add_row(str(day), name, f"{usage.wall_s:.2f}", f"{usage.cpu_s:.2f}", f"{usage.peak_mb:.0f}", layers)
        if len(found) == len(CONTENDERS):
            for row in _ratio_rows(found["flowforge"], found["script"], _startup(results, scale)):
                table.add_row("", *row, style="bold")
        table.add_section()
    console.print(table)
    if results.quiet.get(scale):
        _print_quiet(results, scale)


def _startup(results: Results, scale: float) -> Usage:
    """What is taken off: the run with nothing new, or as much of it as may be."""
    quiet = medians(results.quiet[scale])
    return Usage(min(quiet.wall_s, MOST_STARTUP_S), min(quiet.cpu_s, MOST_STARTUP_S), quiet.peak_mb)


def _ratio_rows(flowforge: Usage, script: Usage, startup: Usage) -> list[tuple[str, ...]]:
    """The ratios as they are, and with the start-up taken off FlowForge's wall and CPU time."""
    beyond_wall, beyond_cpu = flowforge.wall_s - startup.wall_s, flowforge.cpu_s - startup.cpu_s
    peak = f"{flowforge.peak_mb / script.peak_mb:.2f}x"
    return [
        ("ratio", f"{flowforge.wall_s / script.wall_s:.2f}x", f"{flowforge.cpu_s / script.cpu_s:.2f}x", peak, ""),
        (
            "beyond start-up",
            _against(beyond_wall / script.wall_s, "wall"),
            _against(beyond_cpu / script.cpu_s, "cpu"),
            "",
            "",
        ),
    ]


def _against(ratio: float, goal: str) -> str:
    colour = "green" if ratio <= GOALS[goal] else "yellow"
    return f"[{colour}]{ratio:.2f}x[/]"


def _layers(seconds: list[dict[str, float]]) -> str:
    middle = sorted(seconds, key=lambda one: sum(one.values()))[len(seconds) // 2]
    return " / ".join(f"{middle.get(layer, 0):.2f}" for layer in ("bronze", "silver", "gold")) if middle else ""


def _print_quiet(results: Results, scale: float) -> None:
    quiet, taken = medians(results.quiet[scale]), _startup(results, scale)
    memory = MEMORY_GOALS.get(scale)
    console.print(
        f"Start-up, stated apart: a run with nothing new took {quiet.wall_s:.2f} s wall, {quiet.cpu_s:.2f} s CPU (median "
        f"of {len(results.quiet[scale])}); beyond start-up means without {taken.wall_s:.2f} s wall and "
        f"{taken.cpu_s:.2f} s CPU of it, {MOST_STARTUP_S:g} s being the most. Goals beyond it: wall {GOALS['wall']:.2f}x, "
        f"CPU {GOALS['cpu']:.2f}x" + (f", peak at most {memory} MB." if memory else ".")
    )


def _print_bare(results: Results) -> None:
    bare = medians(results.bare)
    console.print(
        f"Of a start-up, Dagster's own: a bare one-step `dagster job execute` took {bare.wall_s:.2f} s wall, "
        f"{bare.cpu_s:.2f} s CPU, {bare.peak_mb:.0f} MB (median of {len(results.bare)}, between the same rounds)."
    )


def _write(results: Results, started: datetime) -> Path:
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{started:%Y%m%d_%H%M%S}.json"
    machine = {
        "cpus": os.cpu_count(),
        "load_average": os.getloadavg(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("dagster", "polars", "duckdb", "pyarrow")},
    }
    document = {"started_at": started.isoformat(), "machine": machine, **results.as_dict()}
    path.write_text(json.dumps(document, indent=1) + "\n")
    return path.relative_to(CHECKOUT)


if __name__ == "__main__":
    main()
