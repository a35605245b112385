"""Partitioned tables when runs are killed or meet: what one clean run leaves, whatever happens in between."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from flowforge_resources.errors import ConcurrentPublishError
from flowforge_resources.lake import Lake
from partitioned_table import DAILY, Driven, manifest_of, rows, spec_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Killed(BaseException):
    """Ends a process' work like a kill: nothing of ours catches it."""


WRITES = ("write", "publish", "put_new", "swap", "show_as", "delete", "copy")


def killing(monkeypatch: pytest.MonkeyPatch, at: int) -> Callable[[], int]:
    """Die before the n-th write to any lake; returns how many there were."""
    count = -1
    for name in WRITES:
        original = getattr(Lake, name)

        def counted(self: Lake, *args: Any, _original: Any = original, **options: Any) -> Any:
            nonlocal count
            count += 1
            if count == at:
                raise Killed
            return _original(self, *args, **options)

        monkeypatch.setattr(Lake, name, counted)
    return lambda: count + 1


def test_a_run_killed_before_any_write_leaves_what_one_clean_run_leaves(tmp_path: Path) -> None:
    """Then comes a batch that touches less than the killed run's, so that nothing is put right by chance."""
    start = Driven(Lake(str(tmp_path / "start")), spec_of("t", DAILY))
    start.land(rows("a 2026-01-01 1", "b 2026-01-02 1", "c 2026-01-02 1"))
    start.take()
    start.land(rows("a 2026-01-03 2", "b 2026-01-02 5", "e 2026-01-05 1", "f 2026-01-05 -1", "c 2026-01-02 0"))

    def table(name: str) -> Driven:
        shutil.copytree(tmp_path / "start", tmp_path / name)
        return Driven(Lake(str(tmp_path / name)), start.spec)

    def take_last(driven: Driven) -> None:
        driven.land(rows("b 2026-01-02 6"))
        driven.take()

    clean = table("clean")
    with pytest.MonkeyPatch.context() as patch:
        counted = killing(patch, -1)
        clean.take()
        writes = counted()
    take_last(clean)
    assert writes > 10
    for at in range(writes):
        driven = table(f"killed-{at}")
        with pytest.MonkeyPatch.context() as patch:
            killing(patch, at)
            with pytest.raises(Killed):
                driven.take()
        assert len(driven.rows()) in (3, 4), f"{at}: a reader sees the old version or the new one"
        take_last(driven)
        assert driven.rows() == driven.plain_rows() == clean.rows(), at
        assert driven.held() == clean.held(), at
        assert driven.strangers() == [], at


def test_two_runs_with_the_same_batch_publish_it_once(any_lake: Lake) -> None:
    table = Driven(any_lake, spec_of("t", DAILY))
    table.land(rows("a 2026-01-01 1"))
    table.take()
    table.land(rows("a 2026-01-02 2", "b 2026-01-03 1"))
    with any_lake.scratch() as scratch:
        first, second = (table.stage(table.batch(), scratch) for _ in range(2))
        table.publish(first)
        with pytest.raises(ConcurrentPublishError):
            table.publish(second)
    assert table.take() is None
    assert table.partitions() == {"2026-01-02": 1, "2026-01-03": 1}
    assert table.strangers() == []
    assert table.rows() == table.plain_rows()


def test_runs_that_make_different_partitions_anew_do_not_hinder_each_other(any_lake: Lake) -> None:
    table = Driven(any_lake, spec_of("t", DAILY))
    table.land(rows("a 2026-01-01 1", "b 2026-01-02 1"))
    table.take()
    before = table.rows()
    with any_lake.scratch() as scratch:
        staged = [table.stage(table.batch(day), scratch) for day in ("2026-01-01", "2026-01-02", "2026-01-01")]
        table.publish(staged[0])
        table.publish(staged[1])
        with pytest.raises(ConcurrentPublishError):
            table.publish(staged[2])
    assert table.rows() == table.plain_rows() == before
    assert manifest_of(table).version == 3
    assert table.strangers() == []


def test_partitions_made_anew_while_new_bronze_is_published_are_made_again(lake: Lake) -> None:
    table = Driven(lake, spec_of("t", DAILY))
    table.land(rows("a 2026-01-01 1", "b 2026-01-02 1"))
    table.take()
    with lake.scratch() as scratch:
        backfill = table.stage(table.batch("2026-01-01"), scratch)
        table.land(rows("a 2026-01-05 2"))
        table.take()
        with pytest.raises(ConcurrentPublishError):
            table.publish(backfill)
    assert table.partitions() == {"2026-01-02": 1, "2026-01-05": 1}
