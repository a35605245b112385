"""Who runs: how each contender gets its lake, is started for a day, and says what its books were."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measure import Usage, clean_env, measure
from benchmarks.tpch_data import link_day

if TYPE_CHECKING:
    from collections.abc import Mapping

CHECKOUT = Path(__file__).parent.parent
WORKFLOW = "tpch"


@dataclass(frozen=True)
class Arena:
    """A fresh folder for one contender's two days: its lake, its Dagster instance, its logs."""

    folder: Path

    @property
    def lake(self) -> Path:
        """The lake."""
        return self.folder / "lake"

    @property
    def landing(self) -> Path:
        """Where files land, for whoever runs."""
        return self.lake / "landing" / WORKFLOW

    def clear(self) -> None:
        """Make it new."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.landing.mkdir(parents=True)


class Contender(ABC):
    """Somebody who turns a day's landing files into tables."""

    name: str

    def prepare(self, arena: Arena) -> None:
        """Make what stands before the first day in an empty arena: nothing, for most."""
        del arena

    def run_day(self, arena: Arena, scale: float, day: int) -> Usage:
        """Land the day's files and measure the run."""
        link_day(scale, day, arena.landing)
        return self._measure(arena, day, f"day{day}.log")

    def _measure(self, arena: Arena, day: int, log: str) -> Usage:
        command, env = self.command(arena, day), self.env(arena)
        return measure(command, env=env, cwd=CHECKOUT, log=arena.folder / log, reads=[arena.lake])

    @abstractmethod
    def command(self, arena: Arena, day: int) -> list[str]:
        """The command line of a day's run."""

    def env(self, arena: Arena) -> dict[str, str]:
        """Its environment."""
        del arena
        return clean_env()

    @abstractmethod
    def books(self, arena: Arena, day: int) -> dict[str, Mapping[str, int]]:
        """The books it reported for that day, by table."""

    def seconds(self, arena: Arena, day: int) -> dict[str, float]:
        """Where it says its time went; empty where it does not say."""
        del arena, day
        return {}


class Script(Contender):
    """`plain_script.py`."""

    name = "script"

    def command(self, arena: Arena, day: int) -> list[str]:
        """One process a day."""
        script = [sys.executable, "-m", "benchmarks.plain_script", "--day", str(day)]
        return [*script, "--landing", str(arena.landing), "--lake", str(arena.lake)]

    def books(self, arena: Arena, day: int) -> dict[str, Mapping[str, int]]:
        """As it wrote them."""
        return dict(self._report(arena, day)["books"])

    def seconds(self, arena: Arena, day: int) -> dict[str, float]:
        """By layer."""
        return dict(self._report(arena, day)["seconds"])

    def _report(self, arena: Arena, day: int) -> dict[str, Any]:
        return dict(json.loads((arena.lake / "_script" / f"day{day}.json").read_text()))


class FlowForge(Contender):
    """The same workflow, declared, by `dagster job execute`."""

    name = "flowforge"

    def prepare(self, arena: Arena) -> None:
        """Dagster's databases, which are made once in the life of an instance, in 0.4 s."""
        subprocess.run([dagster(), "instance", "migrate"], env=self.env(arena), check=True, capture_output=True)

    def command(self, arena: Arena, day: int) -> list[str]:
        """As CI would run it: everything new in landing is taken."""
        del arena, day
        return dagster_job("benchmarks.tpch.definitions", WORKFLOW)

    def env(self, arena: Arena) -> dict[str, str]:
        """A lake and an instance of its own."""
        return dagster_env(arena.folder / "dagster") | {"FLOWFORGE_LAKE_URL": str(arena.lake)}

    def run_again(self, arena: Arena) -> Usage:
        """Measure a run that finds nothing new."""
        return self._measure(arena, 0, "again.log")

    def books(self, arena: Arena, day: int) -> dict[str, Mapping[str, int]]:
        """From the run reports on the lake."""
        reports = self._reports(arena, day)
        return {asset.removeprefix("silver_"): said["books"] for asset, said in reports.items() if said["books"]}

    def seconds(self, arena: Arena, day: int) -> dict[str, float]:
        """By layer, inside the steps."""
        seconds: dict[str, float] = {}
        for said in self._reports(arena, day).values():
            seconds[said["layer"]] = round(seconds.get(said["layer"], 0) + said["seconds"], 3)
        return seconds

    def _reports(self, arena: Arena, day: int) -> dict[str, Any]:
        runs = sorted((arena.lake / "_flowforge" / "runs" / WORKFLOW).iterdir())
        return {path.stem: json.loads(path.read_text()) for path in runs[day - 1].glob("*.json")}


def dagster_job(module: str, job: str) -> list[str]:
    """The command that runs a job as CI would."""
    return [dagster(), "job", "execute", "-m", module, "-j", job]


def dagster() -> str:
    """Dagster's command in this environment."""
    return str(Path(sys.executable).with_name("dagster"))


def dagster_env(home: Path) -> dict[str, str]:
    """The environment of a Dagster process with an instance in `home`, set up as `make demo` does."""
    home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(CHECKOUT / "dagster.yaml", home / "dagster.yaml")
    return clean_env(DAGSTER_HOME=str(home))
