"""A landing file is taken once, whoever is slow, killed or quicker."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from flowforge_assets.bronze import landed
from flowforge_resources import io_managers, retries
from flowforge_resources.bronze_parts import Replaced
from flowforge_resources.errors import NewerLakeError
from flowforge_resources.fences import delete_fenced, fence_orphans, orphans
from flowforge_resources.io_managers import BronzeIOManager, GoldIOManager
from flowforge_resources.layout import TableId
from flowforge_resources.ledger import (
    Ledger,
    LedgerEntry,
    LeftFile,
    TakenFile,
    commit,
    read_ledger,
)
from flowforge_resources.silver_io_manager import SilverIOManager
from scenario import SHOP_DAY1, SHOP_DAY2, land, leftovers, run_well, shop, state

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flowforge_resources.io_managers import LayerIOManager
    from flowforge_resources.lake import Lake

TABLE = TableId("shop", "items")


def entry(version: int, *files: str, bronze_file: str | None = "b.parquet") -> LedgerEntry:
    taken = tuple(TakenFile(name, "etag", 3, "2026-01-01T00:00:00+00:00", "sha", 1) for name in files)
    return LedgerEntry(version, "2026-01-01T00:00:00+00:00", f"run-{version}", bronze_file, len(files), taken)


def taken_keys(ledger: Ledger) -> set[str]:
    return {file.key for one in ledger.entries for file in one.files}


def test_an_entry_is_read_as_it_was_committed(any_lake: Lake) -> None:
    written = entry(1, "landing/a.csv", "landing/ü 1.csv")
    assert commit(any_lake, TABLE, written)
    ledger = read_ledger(any_lake, TABLE)
    assert ledger.entries == [written]
    assert ledger.version == 1
    assert taken_keys(ledger) == {"landing/a.csv", "landing/ü 1.csv"}


@pytest.mark.parametrize("inside", [(), ("files", 0), ("left", 0), ("replaces", 0)])
def test_an_entry_of_a_newer_version_is_not_passed_over(lake: Lake, inside: tuple[Any, ...]) -> None:
    left = LeftFile("landing/b.csv", "etag", 3, "2026-01-01T00:00:00+00:00", "skipped")
    told = replace(entry(1, "landing/a.csv"), left=(left,), replaces=(Replaced(1, 2),))
    raw = json.loads(told.to_json())
    said = raw
    for place in inside:
        said = said[place]
    said["shade"] = "blue"
    lake.write(TABLE.ledger_entry(1), json.dumps(raw).encode())
    with pytest.raises(NewerLakeError, match=r"_ledger/.*1\.json was written by a newer FlowForge: it holds `shade`"):
        read_ledger(lake, TABLE)


def test_of_two_commits_to_one_number_one_wins(any_lake: Lake) -> None:
    assert commit(any_lake, TABLE, entry(1, "a"))
    assert not commit(any_lake, TABLE, entry(1, "b"))
    assert taken_keys(read_ledger(any_lake, TABLE)) == {"a"}


def test_versions_are_read_in_order_beyond_nine_and_after_any_of_them(any_lake: Lake) -> None:
    for version in range(1, 13):
        assert commit(any_lake, TABLE, entry(version, f"f{version}"))
    assert [one.version for one in read_ledger(any_lake, TABLE).entries] == list(range(1, 13))
    assert [one.version for one in read_ledger(any_lake, TABLE, after=9).entries] == [10, 11, 12]


def test_an_orphan_is_fenced_and_removed_and_a_committed_file_is_neither(any_lake: Lake) -> None:
    for name in ("kept", "lost"):
        any_lake.write(f"{TABLE.bronze}{name}.parquet", b"PAR1")
    commit(any_lake, TABLE, entry(1, "a", bronze_file=f"{TABLE.bronze}kept.parquet"))

    fenced = fence_orphans(any_lake, read_ledger(any_lake, TABLE), "me")
    delete_fenced(any_lake, fenced)

    assert fenced == [f"{TABLE.bronze}lost.parquet"]
    assert any_lake.head(f"{TABLE.bronze}lost.parquet") is None
    assert any_lake.head(f"{TABLE.bronze}kept.parquet") is not None
    assert read_ledger(any_lake, TABLE).version == 2


def test_a_file_that_is_committed_while_it_is_about_to_be_fenced_stays(any_lake: Lake) -> None:
    any_lake.write(f"{TABLE.bronze}slow.parquet", b"PAR1")
    seen = read_ledger(any_lake, TABLE)
    assert orphans(any_lake, seen) == [f"{TABLE.bronze}slow.parquet"]
    commit(any_lake, TABLE, entry(1, "a", bronze_file=f"{TABLE.bronze}slow.parquet"))

    assert fence_orphans(any_lake, seen, "me") == []
    assert orphans(any_lake, read_ledger(any_lake, TABLE)) == []


def test_an_orphan_whose_remover_was_killed_after_fencing_is_removed_by_the_next(any_lake: Lake) -> None:
    any_lake.write(f"{TABLE.bronze}lost.parquet", b"PAR1")
    assert fence_orphans(any_lake, read_ledger(any_lake, TABLE), "killed before it could delete")

    delete_fenced(any_lake, fence_orphans(any_lake, read_ledger(any_lake, TABLE), "next"))

    assert any_lake.head(f"{TABLE.bronze}lost.parquet") is None
    assert read_ledger(any_lake, TABLE).version == 1, "no second fence is needed"


def interrupt_once(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, meanwhile: Callable[[], None]) -> None:
    """Let something happen just before the first call of a function, which then goes on as ever."""
    real, waiting = getattr(owner, name), [meanwhile]

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        if waiting:
            waiting.pop()()
        return real(*args, **kwargs)

    monkeypatch.setattr(owner, name, interrupted)


@pytest.fixture
def expected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The tables after both days, one undisturbed run each."""
    from flowforge_resources.lake import Lake

    with monkeypatch.context() as patch:
        patch.setenv("FLOWFORGE_LAKE_URL", str(tmp_path / "undisturbed"))
        for files in (SHOP_DAY1, SHOP_DAY2):
            land(Lake(), "shop", files)
            run_well(shop(tmp_path / f"project-{len(files)}-{id(files)}"), "shop")
        return state(Lake())


def test_a_slow_run_whose_file_was_fenced_starts_again_and_nothing_is_lost(
    any_lake: Lake, expected: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The other run ingests the same file within the same second, so it could be tempted to use the same name."""
    monkeypatch.setattr(retries, "_FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(landed, "utc_now", lambda: datetime(2026, 1, 1, tzinfo=UTC))
    defs = shop(tmp_path / "project")
    for files in (SHOP_DAY1, SHOP_DAY2):
        land(any_lake, "shop", files)
        with monkeypatch.context() as patch:
            interrupt_once(patch, io_managers, "commit", lambda: run_well(defs, "shop"))
            run_well(defs, "shop")
        for item in read_ledger(any_lake, TABLE).entries:
            assert item.bronze_file is None or any_lake.head(item.bronze_file) is not None
    run_well(defs, "shop")
    assert state(any_lake) == expected
    assert leftovers(any_lake) == []


@pytest.mark.parametrize("manager", [BronzeIOManager, SilverIOManager, GoldIOManager])
def test_a_run_overtaken_just_before_it_publishes_starts_again_on_the_new_version(
    lake: Lake, expected: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, manager: type[LayerIOManager]
) -> None:
    monkeypatch.setattr(retries, "_FIRST_WAIT_S", 0.01)
    defs = shop(tmp_path / "project")
    land(lake, "shop", SHOP_DAY1)

    def another_run() -> None:
        land(lake, "shop", SHOP_DAY2)
        run_well(defs, "shop")

    with monkeypatch.context() as patch:
        interrupt_once(patch, manager, "publish", another_run)
        run_well(defs, "shop")
    run_well(defs, "shop")
    assert state(lake) == expected
    assert leftovers(lake) == []
