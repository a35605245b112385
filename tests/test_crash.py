"""A run killed anywhere, followed by a clean one, leaves what one undisturbed run would have left.

Two ways of choosing the moment: every contact with the lake or its disk in turn (just before it; what happens between
two contacts changes nothing that outlives the process), and moments drawn by a seed, as an operator or the kernel would.
"""

from __future__ import annotations

import os
import random
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from flowforge_resources.decisions import Decision
from flowforge_resources.lake import Lake
from flowforge_resources.layout import TableId, utc_now
from flowforge_resources.quarantine_decisions import DecidedRow, record
from forker import KILLED, Forker, Pool
from scenario import SHOP_DAY1, SHOP_DAY2, land, land_day, leftovers, rows_of, state

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SEED = 20261121
# Every point takes two or three runs. `FLOWFORGE_TEST_THOROUGH=1` or `FLOWFORGE_TEST_EVERY=1` tries all, the quick
# suite a spread of them.
THOROUGH = bool(os.environ.get("FLOWFORGE_TEST_THOROUGH"))
RANDOM_MOMENTS = 20 if THOROUGH else 2
EVERY = int(os.environ.get("FLOWFORGE_TEST_EVERY", "1" if THOROUGH else "43"))


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Forker() as one, Forker() as two:
        yield Pool([one, two])


def same_lake(source: Path, target: Path) -> Path:
    """The lake again, file by file the same to the store (a local ETag is made of inode and time)."""
    shutil.copytree(source, target, copy_function=os.link, ignore=shutil.ignore_patterns(".scratch"))
    return target


def wrong(point: str, root: Path, after: dict[str, Any], expected: dict[str, str]) -> str | None:
    """What a clean run after a kill left that an undisturbed one does not leave."""
    lake = Lake(str(root))
    if after["status"]:
        return f"{point}: the clean run failed: {after['said']}"
    if left := leftovers(lake):
        return f"{point}: left over: {left}"
    found = state(lake)
    return next(
        (f"{point}: {key} differs" for key in {**expected, **found} if found.get(key) != expected.get(key)), None
    )


def decide_on_held_rows(lake: Lake) -> None:
    """Of the two rows that the first day holds: one is fixed and released, one discarded."""
    decided = Decision("ann", "asked the shop", utc_now())
    for table, column, actions in (("items", "price", ("fix", "release")), ("sales", "number", ("discard",))):
        key = TableId("shop", table)
        (held,) = rows_of(lake, key.quarantine)
        for action in actions:
            row = DecidedRow(held["_quarantine_id"], fixes={column: "7"} if action == "fix" else {})
            record(lake, key, lambda _, action=action, row=row: (action, [row], decided))


@pytest.mark.parametrize("day", ["first load", "second day", "a release"])
def test_a_run_killed_before_any_contact_with_the_lake_leaves_what_one_clean_run_leaves(
    pool: Pool, tmp_path: Path, day: str
) -> None:
    lake = Lake(str(tmp_path / "start"))
    land(lake, "shop", SHOP_DAY1)
    with Forker() as forker:
        if day == "second day":
            assert forker.run(tmp_path / "start", "shop")["status"] == 0
            land(lake, "shop", SHOP_DAY2)
        if day == "a release":
            assert forker.run(tmp_path / "start", "shop")["status"] == 0
            decide_on_held_rows(lake)
        undisturbed = forker.run(same_lake(tmp_path / "start", tmp_path / "undisturbed"), "shop")
    assert undisturbed["status"] == 0, undisturbed["said"]
    expected = state(Lake(str(tmp_path / "undisturbed")))
    if day == "a release":
        assert "008,Rake,7.00" in expected["silver/shop/items/current.parquet"]

    def killed_at(forker: Forker, at: int) -> str | None:
        point = f"{at} ({undisturbed['contacts'][at]})"
        root = same_lake(tmp_path / "start", tmp_path / f"kill-{at}")
        died = forker.run(root, "shop", at=at)
        if died["status"] != KILLED:
            return f"{point}: was not killed but ended with {died['status']}: {died.get('said')}"
        return wrong(point, root, forker.run(root, "shop"), expected)

    assert len(undisturbed["contacts"]) > 30
    assert pool.each(killed_at, range(0, len(undisturbed["contacts"]), EVERY)) == []


def test_a_run_killed_with_several_steps_at_work_leaves_what_one_clean_run_leaves(pool: Pool, tmp_path: Path) -> None:
    """Which step a contact belongs to is chance here; that any of them may be the last is not."""
    lake = Lake(str(tmp_path / "start"))
    land(lake, "shop", SHOP_DAY1)
    with Forker() as forker:
        undisturbed = forker.run(same_lake(tmp_path / "start", tmp_path / "undisturbed"), "shop", at_once=3)
    assert undisturbed["status"] == 0, undisturbed["said"]
    expected = state(Lake(str(tmp_path / "undisturbed")))

    def killed_at(forker: Forker, at: int) -> str | None:
        root = same_lake(tmp_path / "start", tmp_path / f"kill-{at}")
        forker.run(root, "shop", at=at, at_once=3)
        return wrong(f"contact {at}", root, forker.run(root, "shop", at_once=3), expected)

    assert pool.each(killed_at, range(10, len(undisturbed["contacts"]), EVERY * 4)) == []


def test_a_run_killed_at_random_moments_leaves_what_one_clean_run_leaves(
    pool: Pool, tmp_path: Path, two_days: dict[str, Any]
) -> None:
    """Each lake sees two kills: in the first load and in the second day."""
    with Forker() as forker:
        (tmp_path / "measured").mkdir()
        land_day(Lake(str(tmp_path / "measured")), "day1")
        seconds = forker.run(tmp_path / "measured", "retail")["seconds"]
    draw = random.Random(SEED)
    points = [(n, draw.uniform(0, seconds), draw.uniform(0, seconds)) for n in range(RANDOM_MOMENTS // 2)]

    def killed_twice(forker: Forker, point: tuple[int, float, float]) -> str | None:
        number, *moments = point
        root = tmp_path / f"lake-{number}"
        for day, after_s in zip(("day1", "day2"), moments, strict=True):
            land_day(Lake(str(root)), day)
            forker.run(root, "retail", after_s=after_s)
            clean = forker.run(root, "retail")
            if said := wrong(f"{day} at {after_s:.3f} s", root, clean, two_days[f"{day} state"]):
                return said
        return None

    assert pool.each(killed_twice, points) == []
