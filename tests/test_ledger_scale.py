"""A ledger with checkpoints says what one without says, and loses nothing when they are torn or lost."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from flowforge_resources import ledger as ledger_module
from flowforge_resources.fences import fence_orphans
from flowforge_resources.frames import as_frame, windows
from flowforge_resources.lake import StoredObject
from flowforge_resources.layout import TableId
from flowforge_resources.ledger import (
    FAILED,
    LedgerEntry,
    LeftFile,
    TakenFile,
    commit,
    keep_short,
    read_ledger,
)
from scenario import SHOP_DAY1, SHOP_DAY2, land, leftovers, run_well, shop, state

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_resources.lake import Lake
    from flowforge_resources.ledger import Ledger

TABLE = TableId("shop", "items")
MOMENT = "2026-01-01T00:00:00+00:00"
ENTRIES = 9


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "ENTRIES_BETWEEN_CHECKPOINTS", 4)


def taken(number: int, version: int) -> TakenFile:
    return TakenFile(f"{TABLE.landing}{number:03d}.csv", f"etag-{version}", 3, MOMENT, f"sha-{version}", 1)


def entry(version: int) -> LedgerEntry:
    """Each takes two keys, one of which the next takes again with other content; every third is a fence."""
    name = f"{TABLE.bronze}{version}.parquet"
    if version % 3 == 0:
        return LedgerEntry(version, MOMENT, f"run-{version}", None, 0, fenced=(name,))
    left = (LeftFile(f"{TABLE.landing}bad.csv", "etag", 3, MOMENT, FAILED, reason="why", attempts=version),)
    return LedgerEntry(
        version, MOMENT, f"run-{version}", name, 2, (taken(version, version), taken(version + 1, version)), left=left
    )


def fill(lake: Lake, *, checkpoints: bool) -> None:
    for version in range(1, ENTRIES + 1):
        ledger = read_ledger(lake, TABLE)
        assert ledger.version == version - 1
        if checkpoints:
            assert keep_short(lake, ledger).version == version - 1
        assert commit(lake, TABLE, entry(version))


def asked(lake: Lake) -> list[StoredObject]:
    """Every key with every ETag it ever had, and one nobody knows."""
    etags = [f"etag-{version}" for version in range(ENTRIES + 2)]
    keys = [f"{TABLE.landing}{number:03d}.csv" for number in range(ENTRIES + 3)]
    bad = StoredObject(f"{TABLE.landing}bad.csv", "etag", 3, datetime(2026, 1, 1, tzinfo=UTC))
    return [bad, *(StoredObject(key, etag, 3, bad.last_modified) for key in keys for etag in etags)]


def says(ledger: Ledger, lake: Lake) -> object:
    """All a ledger can be asked."""
    objects = asked(lake)
    data = [(one.version, one.run_id, one.bronze_file, one.rows) for one in ledger.data_after(0)]
    return (
        ledger.version,
        ledger.rows,
        data,
        [one.version for one in ledger.data_after(5)],
        sorted(ledger.known_files),
        sorted(ledger.fenced),
        ledger.judge(as_frame(objects)).rows(),
        [one.key for one in objects if not ledger.is_taken(one)],
        ledger.ingested_hashes(as_frame(objects)),
    )


def test_checkpoints_change_nothing_that_a_ledger_says(any_lake: Lake) -> None:
    fill(any_lake, checkpoints=False)
    plain = read_ledger(any_lake, TABLE)
    assert plain.checkpoint is None
    expected = says(plain, any_lake)
    for found in list(any_lake.objects(TABLE.ledger)):
        any_lake.delete(found.key)

    fill(any_lake, checkpoints=True)

    ledger = read_ledger(any_lake, TABLE)
    assert ledger.checkpoint is not None
    assert ledger.checkpoint.version == 8
    assert [one.version for one in ledger.entries] == [9]
    assert says(ledger, any_lake) == expected
    assert [one.version for one in read_ledger(any_lake, TABLE, after=6).data_after(6)] == [7, 8]


def test_a_harmed_checkpoint_is_ignored(any_lake: Lake) -> None:
    fill(any_lake, checkpoints=True)
    expected = says(read_ledger(any_lake, TABLE), any_lake)
    newest = TABLE.ledger_checkpoint(8)
    content = any_lake.read(newest) or b""
    for harmed in (content[: len(content) // 2], b"", any_lake.read(TABLE.ledger_entry(1)), None):
        if harmed is None:
            any_lake.delete(newest)
        else:
            any_lake.write(newest, harmed)
        ledger = read_ledger(any_lake, TABLE)
        assert ledger.checkpoint is not None
        assert ledger.checkpoint.version == 4
        assert says(ledger, any_lake) == expected
    any_lake.delete(TABLE.ledger_checkpoint(4))
    assert says(read_ledger(any_lake, TABLE), any_lake) == expected


def test_a_stranger_among_the_checkpoints_is_ignored_and_stays(lake: Lake) -> None:
    lake.write(f"{TABLE.ledger_checkpoints}notes.txt", b"hello")
    lake.write(f"{TABLE.ledger_checkpoints}99.parquet", b"PAR1")
    fill(lake, checkpoints=True)
    assert read_ledger(lake, TABLE).version == ENTRIES
    assert lake.read(f"{TABLE.ledger_checkpoints}notes.txt") == b"hello"


def test_old_checkpoints_go_and_entries_stay(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "ENTRIES_BETWEEN_CHECKPOINTS", 1)
    fill(lake, checkpoints=True)
    versions = sorted(found.key for found in lake.objects(TABLE.ledger_checkpoints))
    assert versions == [TABLE.ledger_checkpoint(version) for version in (6, 7, 8)]
    assert all(lake.head(TABLE.ledger_entry(version)) for version in range(1, ENTRIES + 1))


def test_a_commit_of_a_number_behind_a_checkpoint_is_refused(lake: Lake) -> None:
    """The slow run read the ledger long ago; everything since is in a checkpoint."""
    fill(lake, checkpoints=True)
    assert not commit(lake, TABLE, entry(2))


def test_a_checkpoint_is_no_orphan(lake: Lake) -> None:
    fill(lake, checkpoints=True)
    assert fence_orphans(lake, read_ledger(lake, TABLE), "me") == []


def test_a_workflow_with_a_checkpoint_every_other_run_leaves_what_one_without_leaves(
    any_lake: Lake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(ledger_module, "ENTRIES_BETWEEN_CHECKPOINTS", 1)
    defs = shop(tmp_path / "project")
    for files in (SHOP_DAY1, SHOP_DAY2, {"items/items_3.csv": "item_id,label\n011,Saw\n"}):
        land(any_lake, "shop", files)
        run_well(defs, "shop")
    with_checkpoints = state(any_lake)
    assert list(any_lake.objects(TABLE.ledger_checkpoints))
    assert leftovers(any_lake) == []
    for found in [*any_lake.objects(TABLE.silver), *any_lake.objects(TABLE.ledger_checkpoints)]:
        any_lake.delete(found.key)
    run_well(defs, "shop")
    again = state(any_lake)
    assert again[TABLE.current] == with_checkpoints[TABLE.current]


def test_a_listing_comes_in_windows_in_the_order_of_keys(any_lake: Lake) -> None:
    names = [f"{number:02d}/x.csv" for number in range(5)] + ["a.csv", "A.csv", "ü.csv", "a b.csv"]
    for name in names:
        any_lake.write(f"landing/w/t/{name}", b"x")
    found = [key for window in windows(any_lake, "landing/w/t/", limit=4) for key in window["key"]]
    assert sorted(found) == sorted(f"landing/w/t/{name}" for name in names)
    assert found == sorted(found, key=str.encode)
