"""Compacted bronze says what the files said it was made of; readers, replays, rollbacks and retractions notice nothing."""

from __future__ import annotations

import itertools
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowforge_assets.cli import compact as compact_module
from flowforge_assets.cli.history import Done
from flowforge_assets.cli.query import run_query
from flowforge_assets.silver.rollback import newly_left_out, plan_rollback, roll_back
from flowforge_assets.transforms.cast import create_landed
from flowforge_assets.transforms.rows_that_count import rows_that_count
from flowforge_resources import compaction
from flowforge_resources.bronze_parts import (
    BronzePart,
    Compaction,
    Replaced,
    Span,
    compacted_places,
    files_of,
    left_files,
)
from flowforge_resources.compaction import Sizes, compact
from flowforge_resources.duck import connect
from flowforge_resources.errors import DamagedCopyError
from flowforge_resources.layout import TableId
from flowforge_resources.ledger import ENTRIES_BETWEEN_CHECKPOINTS, LedgerEntry, commit, keep_short, read_ledger
from flowforge_resources.retention import Retention
from flowforge_resources.sweep import COMPACTED, sweep
from scenario import QUIET, land, load, metadata, rows_of, run_well

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_resources.lake import Lake

ITEMS = TableId("shop", "items")
ALL = Sizes(fewest=2)
YAML = """
    type: flowforge_assets.components.Workflow
    attributes: {description: A shop., maintenance: "0 3 * * 0"}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: items
      on_change: supersede
      columns:
        - {name: item_id}
        - {name: label}
        - {name: price, type: integer}
      keys: [item_id]
      rules: [{rule: range, column: price, min: 0}]
"""
LATER = YAML.replace("min: 0", "min: -5")


def ingest(defs: dg.Definitions, lake: Lake, name: str, *rows: str) -> None:
    text = "\n".join(["item_id,label,price", *rows, ""])
    land(lake, "shop", {f"items/{name}.csv": text})
    run_well(defs, "shop")


def silver(lake: Lake) -> list[dict[str, Any]]:
    rows = rows_of(lake, ITEMS.current)
    return sorted(
        ({k: v for k, v in row.items() if k != "_ingested_at"} for row in rows), key=lambda row: row["item_id"]
    )


def bronze(lake: Lake) -> list[tuple[Any, ...]]:
    """Every row that counts, in order of arrival."""
    columns = "item_id, label, price, _source_file, _row_number, _ingested_at"
    order = "_ingested_at, _source_file, _row_number"
    return list(run_query(f"SELECT {columns} FROM shop_bronze.items ORDER BY {order}").rows)


def test_readers_of_compacted_bronze_see_the_same_rows_in_the_same_order(any_lake: Lake, tmp_path: Path) -> None:
    defs = load(tmp_path, YAML)
    for number in range(4):
        ingest(defs, any_lake, f"{number}", f"{number},a,1", f"x,all,{number}", f"bad{number},q,-1")
    before, was = bronze(any_lake), silver(any_lake)
    old = [part.bronze_file for part in read_ledger(any_lake, ITEMS).data_after(0)]

    done = compact(any_lake, [ITEMS], run_id="me", sizes=ALL)

    (group,) = done.groups
    assert [file.key for file in group.files] == old
    assert bronze(any_lake) == before
    assert {part.bronze_file for part in read_ledger(any_lake, ITEMS).data_after(0)} == {group.key}
    assert [part.version for part in read_ledger(any_lake, ITEMS).data_after(0)] == [1, 2, 3, 4]
    assert sum(part.rows for part in read_ledger(any_lake, ITEMS).data_after(0)) == 12
    assert read_ledger(any_lake, ITEMS).rows == 12
    run_well(defs, "shop")
    assert silver(any_lake) == was
    (tmp_path / "later").mkdir()
    anew = load(tmp_path / "later", LATER)
    run_well(anew, "shop")
    assert {row["item_id"] for row in silver(any_lake)} == {"0", "1", "2", "3", "x", *(f"bad{n}" for n in range(4))}
    assert next(row["price"] for row in silver(any_lake) if row["item_id"] == "x") == 3
    assert compact(any_lake, [ITEMS], run_id="me", sizes=ALL).groups == []


def test_a_run_takes_of_a_compacted_file_only_what_silver_does_not_hold(lake: Lake, tmp_path: Path) -> None:
    defs = load(tmp_path, YAML)
    ingest(defs, lake, "1", "1,a,1", "2,a,1")
    job = defs.resolve_job_def("shop")
    only_bronze = [key for key in job.asset_layer.executable_asset_keys if key.path[-1] == "bronze_items"]
    for number in (2, 3):
        land(lake, "shop", {f"items/{number}.csv": f"item_id,label,price\n{number},b,1\n"})
        assert job.execute_in_process(asset_selection=only_bronze, run_config=QUIET).success
    compact(lake, [ITEMS], run_id="me", sizes=ALL)
    result = run_well(defs, "shop")
    said = metadata(result, "silver_items")
    assert (said["read"], said["inserted"], said["updated"]) == (2, 1, 1)
    assert [(row["item_id"], row["label"]) for row in silver(lake)] == [("1", "a"), ("2", "b"), ("3", "b")]


def test_superseded_content_in_a_compacted_file_stays_out(lake: Lake, tmp_path: Path) -> None:
    defs = load(tmp_path, YAML)
    ingest(defs, lake, "1", "1,old,1", "2,old,1")
    ingest(defs, lake, "2", "3,a,1")
    ingest(defs, lake, "1", "1,newer,1")
    compact(lake, [ITEMS], run_id="me", sizes=ALL)
    assert [row[0] for row in bronze(lake)] == ["3", "1"]
    ingest(defs, lake, "1", "1,newest,1", "4,new,1")
    assert [(row["item_id"], row["label"]) for row in silver(lake)] == [("1", "newest"), ("3", "a"), ("4", "new")]


def test_what_a_rollback_left_out_stays_out_of_a_replay_of_compacted_bronze(lake: Lake, tmp_path: Path) -> None:
    defs = load(tmp_path, YAML)
    for number in (1, 2, 3):
        ingest(defs, lake, f"{number}", f"{number},a,1", f"held{number},a,-1")
    roll_back(lake, plan_rollback(lake, ITEMS, "1"))
    ingest(defs, lake, "4", "4,a,1")
    compact(lake, [ITEMS], run_id="me", sizes=ALL)
    plan = plan_rollback(lake, ITEMS, "1")
    told = Done(plan, tuple(files_of(newly_left_out(lake, plan))), dry_run=True)
    assert "Left out from now on: 1 rows of bronze/shop/items/compacted_" in str(told)
    (tmp_path / "later").mkdir()
    run_well(load(tmp_path / "later", LATER), "shop")
    assert [row["item_id"] for row in silver(lake)] == ["1", "4", "held1"]


def test_old_files_stay_for_readers_and_go_with_the_sweep_after_a_day(any_lake: Lake, tmp_path: Path) -> None:
    defs = load(tmp_path, YAML)
    for number in range(3):
        ingest(defs, any_lake, f"{number}", f"{number},a,1")
    told = read_ledger(any_lake, ITEMS).data_after(0)
    compact(any_lake, [ITEMS], run_id="me", sizes=ALL)
    assert sweep(any_lake, {ITEMS: Retention()}, run_id="me").of_kind(COMPACTED) == []
    assert all(any_lake.head(part.bronze_file) for part in told)
    before = bronze(any_lake)

    swept = sweep(any_lake, {ITEMS: Retention()}, run_id="me", older_than=timedelta(0))

    assert sorted(one.name for one in swept.removed) == sorted(part.bronze_file for part in told)
    assert {one.kind for one in swept.removed} == {COMPACTED}
    assert bronze(any_lake) == before
    assert {part.bronze_file for part in told} <= read_ledger(any_lake, ITEMS).spent
    ingest(defs, any_lake, "9", "9,a,1")
    compact(any_lake, [ITEMS], run_id="me", sizes=ALL)  # a compacted file is compacted again
    assert len({part.bronze_file for part in read_ledger(any_lake, ITEMS).data_after(0)}) == 1
    assert [row[0] for row in bronze(any_lake)] == ["0", "1", "2", "9"]


def test_what_was_compacted_is_in_the_ledgers_checkpoint_too(lake: Lake, tmp_path: Path) -> None:
    defs = load(tmp_path, YAML)
    for number in range(3):
        ingest(defs, lake, f"{number}", f"{number},a,1")
    compact(lake, [ITEMS], run_id="me", sizes=ALL)
    plain = read_ledger(lake, ITEMS)
    for number in range(ENTRIES_BETWEEN_CHECKPOINTS):
        assert commit(lake, ITEMS, LedgerEntry(plain.version + 1 + number, "2026-01-01T00:00:00", "r", None, 0))
    short = keep_short(lake, read_ledger(lake, ITEMS))
    assert short.checkpoint is not None
    assert read_ledger(lake, ITEMS).data_after(0) == plain.data_after(0)
    assert read_ledger(lake, ITEMS).data_after(1) == plain.data_after(1)
    assert read_ledger(lake, ITEMS).left_files == plain.left_files


def test_a_checkpoint_from_before_there_was_compaction_is_read(lake: Lake, tmp_path: Path) -> None:
    defs = load(tmp_path, YAML)
    ingest(defs, lake, "1", "1,a,1")
    plain = read_ledger(lake, ITEMS)
    for number in range(ENTRIES_BETWEEN_CHECKPOINTS):
        commit(lake, ITEMS, LedgerEntry(plain.version + 1 + number, "2026-01-01T00:00:00", "r", None, 0))
    key = keep_short(lake, read_ledger(lake, ITEMS)).checkpoint.key  # type: ignore[union-attr]  # it was written
    with lake.scratch() as scratch:
        path = scratch.path(".parquet")
        pl.read_parquet(lake.stage_in(key, scratch)).drop("replaces").write_parquet(path)
        lake.publish(path, key)
    assert read_ledger(lake, ITEMS).checkpoint is not None
    assert read_ledger(lake, ITEMS).data_after(0) == plain.data_after(0)


def test_a_compaction_that_is_killed_before_its_entry_changes_nothing(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    defs = load(tmp_path, YAML)
    for number in range(3):
        ingest(defs, lake, f"{number}", f"{number},a,1")
    before, told = bronze(lake), read_ledger(lake, ITEMS).data_after(0)

    def killed(*_: object, **__: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(compaction, "commit", killed)
        with pytest.raises(KeyboardInterrupt):
            compact(lake, [ITEMS], run_id="me", sizes=ALL)
    (orphan,) = [one.key for one in lake.files(ITEMS.bronze) if "compacted" in one.key]
    assert read_ledger(lake, ITEMS).data_after(0) == told
    assert bronze(lake) == before
    ingest(defs, lake, "9", "9,a,1")
    assert lake.head(orphan) is None
    assert len(compact(lake, [ITEMS], run_id="me", sizes=ALL).groups) == 1
    assert [row[0] for row in bronze(lake)] == ["0", "1", "2", "9"]


@pytest.mark.parametrize("between", ["an ingest", "a fence", "another compaction"])
def test_a_compaction_that_comes_second_loses_nothing(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, between: str
) -> None:
    defs = load(tmp_path, YAML)
    for number in range(3):
        ingest(defs, lake, f"{number}", f"{number},a,1")
    asked: list[str] = []

    def overtaken(lake: Lake, table: TableId, entry: LedgerEntry) -> bool:
        if not asked:
            asked.append("once")
            mine = entry.bronze_file or ""
            if between == "an ingest":
                ingest(defs, lake, "9", "9,a,1")  # it fences the file, too
            elif between == "a fence":
                assert commit(
                    lake, table, LedgerEntry(entry.version, entry.committed_at, "other", None, 0, fenced=(mine,))
                )
            else:
                assert len(compact(lake, [ITEMS], run_id="other", sizes=ALL).groups) == 1
        return commit(lake, table, entry)

    monkeypatch.setattr(compaction, "commit", overtaken)
    done = compact(lake, [ITEMS], run_id="me", sizes=ALL)
    assert done.groups == []
    assert "next time" in done.notes[0]
    expected = ["0", "1", "2", "9"] if between == "an ingest" else ["0", "1", "2"]
    assert [row[0] for row in bronze(lake)] == expected
    stored = {one.key for one in lake.files(ITEMS.bronze) if "compacted" in one.key}
    assert len(stored) == (1 if between == "another compaction" else 0)


def test_a_copy_that_differs_is_thrown_away(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    defs = load(tmp_path, YAML)
    for number in range(3):
        ingest(defs, lake, f"{number}", f"{number},a,1")
    told, copy = read_ledger(lake, ITEMS).data_after(0), compaction._copy

    def harmed(sources: Any, target: Path) -> list[int]:
        rows = copy(sources, target)
        pl.read_parquet(target).reverse().write_parquet(target)
        return rows

    monkeypatch.setattr(compaction, "_copy", harmed)
    with pytest.raises(DamagedCopyError, match="3 files"):
        compact(lake, [ITEMS], run_id="me", sizes=ALL)
    assert read_ledger(lake, ITEMS).data_after(0) == told
    assert [one.key for one in lake.files(ITEMS.bronze) if "compacted" in one.key] == []


def test_only_small_neighbours_with_the_same_columns_are_compacted(lake: Lake, tmp_path: Path) -> None:
    defs = load(tmp_path, YAML.replace("keys:", "stop_on_new_columns: false\n      keys:"))
    ingest(defs, lake, "1", "1,a,1")
    ingest(defs, lake, "2", "2,a,1")
    land(lake, "shop", {"items/3.csv": "item_id,label,price,more\n3,a,1,x\n"})
    run_well(defs, "shop")
    ingest(defs, lake, "4", "4,a,1")
    ingest(defs, lake, "5", "5,a,1")
    files = [part.bronze_file for part in read_ledger(lake, ITEMS).data_after(0)]
    done = compact(lake, [ITEMS], run_id="me", sizes=ALL, dry_run=True)
    assert [[file.key for file in group.files] for group in done.groups] == [files[:2], files[3:]]
    assert compact(lake, [ITEMS], run_id="me", sizes=Sizes(small=10, fewest=2), dry_run=True).groups == []
    assert compact(lake, [ITEMS], run_id="me", dry_run=True).groups == []
    two = Sizes(fewest=1, target=1)
    assert [len(group.files) for group in compact(lake, [ITEMS], run_id="me", sizes=two, dry_run=True).groups] == [
        1
    ] * 5


def test_the_maintenance_job_compacts_and_the_command_says_what(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from flowforge_assets.catalog import Declared
    from flowforge_assets.cli import app as app_module

    defs = load(tmp_path, YAML)
    for number in range(8):
        ingest(defs, lake, f"{number}", f"{number},a,1")
    monkeypatch.setattr(compact_module, "declared_workflows", lambda: {"shop": Declared("shop", {"items": "*.csv"})})
    monkeypatch.setattr("sys.argv", ["flowforge", "compact", "items", "--dry-run"])
    with pytest.raises(SystemExit, match="0"):
        app_module.main()
    assert "shop.items: 8 files" in capsys.readouterr().out
    result = defs.resolve_job_def("shop_maintenance").execute_in_process(run_config=QUIET)
    assert result.success
    assert len({part.bronze_file for part in read_ledger(lake, ITEMS).data_after(0)}) == 1
    monkeypatch.setattr("sys.argv", ["flowforge", "compact", "--json"])
    with pytest.raises(SystemExit, match="0"):
        app_module.main()
    assert json.loads(capsys.readouterr().out) == {"dry_run": False, "groups": [], "notes": []}


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_choice_of_compacted_and_retracted_parts_reads_as_the_single_files(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    counts = data.draw(st.lists(st.integers(0, 3), min_size=2, max_size=6), label="rows of each file")
    own = {version: f"{version}.parquet" for version in range(1, len(counts) + 1)}
    frames = {}
    for version, count in zip(own, counts, strict=True):
        frames[version] = pl.DataFrame(
            {
                "x": [f"{version}.{row}" for row in range(count)],
                "_source_file": ["ab"[row % 2] for row in range(count)],
            },
            schema={"x": pl.String, "_source_file": pl.String},
        ).with_columns(pl.int_range(pl.len()).alias("_row_number"), pl.lit(None, pl.Datetime).alias("_ingested_at"))
        frames[version].write_parquet(folder / own[version])
    cuts = sorted(data.draw(st.sets(st.integers(0, len(counts))), label="where compacted files begin"))
    compactions = []
    for first, end in itertools.pairwise(cuts):
        versions = list(own)[first:end]
        pl.concat([frames[version] for version in versions]).write_parquet(folder / f"c{first}.parquet")
        replaced = [Replaced(version, counts[version - 1]) for version in versions]
        compactions.append(Compaction(f"c{first}.parquet", "now", replaced))
    places = compacted_places(compactions)
    wanted = sorted(data.draw(st.sets(st.sampled_from(list(own)), min_size=1), label="versions of the batch"))
    retracted = data.draw(st.sets(st.tuples(st.sampled_from(wanted), st.sampled_from("ab"))), label="superseded")

    def read(places: dict[int, tuple[str, Span]]) -> list[str]:
        parts = []
        for version in wanted:
            file, span = places.get(version, (own[version], None))
            parts.append(BronzePart(version, "", "", file, counts[version - 1], span))
        files = files_of(parts)
        at = {part.version: (place, part.span) for place, file in enumerate(files) for part in file.parts}
        but = [(at[version][0], key, at[version][1]) for version, key in sorted(retracted)]
        with connect(folder) as connection:
            create_landed(connection, ["x"], [folder / file.key for file in files], rows_that_count(files, but))
            return [row[0] for row in connection.execute("SELECT x FROM landed ORDER BY _rid").fetchall()]

    assert read(places) == read({})
    assert set(left_files(own, compactions)) == {own[version] for version in places}
