"""A shut gate under a running daemon: sensors, schedule and automation tick on, and what is below stays as it is until it opens."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from flowforge_resources.gates import read_gates
from gated import BAD_SALE, FACT, FIRST, MISSING_ITEM, RECONCILED, SALES, Platform, gated
from processes import stop, wait_until
from scenario import land, objects, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from flowforge_resources.lake import Lake

ROOT = Path(__file__).parent.parent
GOLD = "gold/report/fact_report.parquet"
RECONCILE = "reconcile_items_sold"
EACH_MINUTE = "schedule: '* * * * *', sensor_interval_s: 5"
DEFINITIONS = """
from pathlib import Path
from flowforge_assets.loading import load_workflows
from {package} import defs as documents
defs = load_workflows(documents, Path(__file__).parent.parent)
"""


@contextmanager
def daemon(folder: Path, module: str) -> Iterator[subprocess.Popen[bytes]]:
    """The real daemon over a module, on the instance and lake that the environment names."""
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONUNBUFFERED": "1"}
    with (folder / "daemon.log").open("wb") as log:
        process = subprocess.Popen(
            [str(Path(sys.executable).parent / "dagster-daemon"), "run", "-m", module],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        stop(process, group=True, limit_s=10)


def ended_well(instance: dg.DagsterInstance, **tags: str) -> bool:
    """Whether a run with these tags has succeeded."""
    wanted = {name.replace("__", "/"): value for name, value in tags.items()}
    return bool(instance.get_runs(dg.RunsFilter(tags=wanted, statuses=[dg.DagsterRunStatus.SUCCESS]), limit=1))


def behind(lake: Lake) -> list[str]:
    """The checks that the report's table waits for."""
    held = read_gates(lake, "report").held.get(FACT)
    return list(held.behind) if held else []


def test_no_tick_of_the_daemon_passes_a_shut_gate_and_all_is_made_when_it_opens(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(ROOT / "dagster.yaml", home)
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    folder = tmp_path / "project"
    folder.mkdir()
    with gated(folder, schedule=EACH_MINUTE, more=RECONCILED) as defs, dg.DagsterInstance.get() as instance:
        on = Platform(defs, lake, instance)
        on.land("shop", FIRST)
        on.land("report", {"targets/1.csv": "item_id,target\na,10\n"})
        assert on.run("shop").success
        assert on.run("report").success
        on.land("shop", BAD_SALE)
        assert not on.run("shop").success
        before = objects(lake, "gold")
        (package,) = (path.name for path in folder.iterdir() if path.is_dir() and path.name.startswith("project_"))
        (folder / package / "definitions.py").write_text(DEFINITIONS.format(package=package), encoding="utf-8")

        with daemon(folder, f"{package}.definitions") as process:
            land(lake, "report", {"targets/2.csv": "item_id,target\na,11\n"})
            scheduled = {"dagster__schedule_name": "report_schedule"}
            automated = {"dagster__sensor_name": "report_automation"}
            for tags in (scheduled, automated):
                wait_until(
                    lambda tags=tags: ended_well(instance, **tags), f"a run of {tags}", process=process, limit_s=240
                )
            assert behind(lake) == [f"{SALES}:references_item_id"]
            assert rows_of(lake, "silver/report/targets/current.parquet")[0]["target"] == 11, "what is not held goes on"
            assert objects(lake, "gold") == before

            # The item comes, and with it one that no sale is of: the tables are published, and do not reconcile.
            land(lake, "shop", {"items/2.csv": MISSING_ITEM["items/2.csv"] + "c,3\n"})
            wait_until(lambda: behind(lake) == [f"{SALES}:{RECONCILE}"], "not reconciled", process=process, limit_s=240)
            assert objects(lake, "gold") == before

            land(lake, "shop", {"sales/3.csv": "number,item_id\n3,c\n"})
            wait_until(lambda: len(rows_of(lake, GOLD)) == 3, "the gate opened", process=process, limit_s=240)
            wait_until(lambda: not read_gates(lake, "report").held, "nothing is held", process=process, limit_s=240)
        assert read_gates(lake, "shop").failed == {}
        assert [row["target"] for row in rows_of(lake, GOLD)] == [11, None, None]
