"""Two runs on one lake at once end as if one had waited for the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flowforge_resources.lake import Lake
from flowforge_resources.layout import TableId
from flowforge_resources.ledger import read_ledger
from forker import Forker
from scenario import SHOP_DAY1, SHOP_DAY2, land, land_day, leftovers, objects, run_well, shop, state

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def two() -> Iterator[tuple[Forker, Forker]]:
    with Forker() as one, Forker() as other:
        yield one, other


def together(two: tuple[Forker, Forker], root: Path, workflow: str) -> list[dict[str, Any]]:
    for forker in two:
        forker.ask({"lake": str(root), "workflow": workflow})
    return [forker.answer() for forker in two]


def taken_twice(lake: Lake) -> list[str]:
    """Landing files that two bronze files hold."""
    tables = {tuple(found.key.split("/")[1:3]) for found in lake.objects("bronze/")}
    taken = [
        file.key
        for workflow, table in tables
        for entry in read_ledger(lake, TableId(workflow, table)).entries
        for file in entry.files
    ]
    return sorted({key for key in taken if taken.count(key) > 1})


@pytest.mark.parametrize("attempt", range(4))
def test_two_runs_of_a_small_workflow_started_together_leave_what_one_leaves(
    two: tuple[Forker, Forker], tmp_path: Path, lake: Lake, attempt: int
) -> None:
    defs = shop(tmp_path / "project")
    root = tmp_path / "together"
    for files in (SHOP_DAY1, SHOP_DAY2):
        for place in (lake, Lake(str(root))):
            land(place, "shop", files)
        run_well(defs, "shop")
        for done in together(two, root, "shop"):
            assert done["status"] == 0, done["said"]
        assert state(Lake(str(root))) == state(lake)
    assert taken_twice(Lake(str(root))) == []
    assert leftovers(Lake(str(root))) == []
    before = objects(Lake(str(root)))
    assert two[0].run(root, "shop")["status"] == 0
    assert objects(Lake(str(root))) == before


def test_two_runs_of_the_sample_workflow_started_together_leave_what_one_leaves(
    two: tuple[Forker, Forker], tmp_path: Path, two_days: dict[str, Any]
) -> None:
    root = tmp_path / "together"
    for day in ("day1", "day2"):
        land_day(Lake(str(root)), day)
        for done in together(two, root, "retail"):
            assert done["status"] == 0, done["said"]
        assert state(Lake(str(root))) == two_days[f"{day} state"]
    assert taken_twice(Lake(str(root))) == []
    assert leftovers(Lake(str(root))) == []
