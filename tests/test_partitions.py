"""A partitioned table holds what the same table in one piece would hold, and only touched partitions are read or written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowforge_assets.partitions.definitions import partitions_def
from flowforge_assets.partitions.partition_by import PartitionBy
from flowforge_resources.duck import connect
from flowforge_resources.errors import PartitionsOfOldDefinitionError
from flowforge_resources.io_managers import silver_table
from flowforge_resources.lake import Lake
from flowforge_resources.layout import partition_folder
from partitioned_table import DAILY, Driven, Row, manifest_of, rows, spec_of

if TYPE_CHECKING:
    from pathlib import Path

DAYS = ("2026-01-01", "2026-01-02", "2026-01-31", "2025-12-31", None)
ROWS = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["a", "b", "c", "d", "é/", "", None]),
        "day": st.sampled_from([*DAYS, "nonsense"]),
        "n": st.sampled_from(["0", "1", "2", "3", "-1", None]),
    }
)
BATCHES = st.lists(st.lists(ROWS, min_size=1, max_size=5), min_size=1, max_size=3)
QUICK = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
WAYS = {
    "day": DAILY,
    "month": PartitionBy(column="day", every="month", start="2026-01-01"),
    "value": PartitionBy(column="id"),
    "number": PartitionBy(column="n"),
    "path": PartitionBy(path="{batch}.csv"),
}


@QUICK
@given(batches=BATCHES, way=st.sampled_from(sorted(WAYS)), ordered=st.booleans(), data=st.data())
def test_a_table_in_partitions_holds_what_it_holds_in_one_piece_also_after_a_backfill(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[Row]], way: str, ordered: bool, data: st.DataObject
) -> None:
    lake = Lake(str(tmp_path_factory.mktemp("lake")))
    cut = Driven(lake, spec_of("cut", WAYS[way], ordered=ordered))
    whole = Driven(lake, spec_of("whole", None, ordered=ordered))
    for batch in batches:
        for table in (cut, whole):
            table.land(batch)  # each batch a file, so that paths are partitions, too
        books, expected = cut.take(), whole.take()
        assert books == expected or WAYS[way].path  # a row that comes again elsewhere has moved
        assert_same(cut, whole)
    there = data.draw(st.lists(st.sampled_from(sorted(manifest_of(cut).partitions)), min_size=1, unique=True))
    untouched = {key: part for key, part in manifest_of(cut).partitions.items() if key not in there}
    cut.take(*there)
    assert_same(cut, whole)
    assert untouched.items() <= manifest_of(cut).partitions.items()
    assert cut.take() is None


def assert_same(cut: Driven, whole: Driven) -> None:
    """The same rows for both kinds of readers, the same quarantine, every row in its partition, nothing left over."""
    expected = whole.rows()
    assert cut.rows() == expected
    assert cut.plain_rows() == expected
    assert cut.held() == whole.held()
    assert cut.strangers() == []
    keys = [row["id"] for row in cut.rows()]
    assert len(keys) == len(set(keys))


def test_a_row_that_moves_leaves_its_old_partition_and_is_counted_once(lake: Lake) -> None:
    table = Driven(lake, spec_of("t", DAILY))
    table.land(rows("a 2026-01-01 1", "b 2026-01-02 1"))
    table.take()
    table.land(rows("a 2026-01-03 2"))
    books = table.take()
    assert books is not None
    assert (books.read, books.updated, books.rows_before, books.rows_after) == (1, 1, 2, 2)
    assert table.partitions() == {"2026-01-02": 1, "2026-01-03": 1}


def test_a_late_row_changes_nothing_in_whichever_partition_it_would_be(lake: Lake) -> None:
    table = Driven(lake, spec_of("t", DAILY))
    table.land(rows("a 2026-01-01 5"))
    table.take()
    before = manifest_of(table)
    table.land(rows("a 2026-01-09 4"))
    books = table.take()
    assert books is not None
    assert books.late == 1
    assert manifest_of(table).partitions == before.partitions
    assert manifest_of(table).nonce == before.nonce
    assert table.take() is None, "the late row is covered and not judged again"


@pytest.mark.parametrize("kind", ["lake", "s3_lake"])
def test_partitions_that_are_not_touched_are_neither_read_nor_written(
    kind: str, request: pytest.FixtureRequest
) -> None:
    lake = request.getfixturevalue(kind)
    table = Driven(lake, spec_of("t", DAILY))
    table.land(rows("k1 2026-01-01 1", "k2 2026-01-02 1", "k3 2026-01-03 1"))
    table.take()
    before = manifest_of(table).partitions
    for day in ("2026-01-01", "2026-01-02"):
        lake.write(before[day].object, b"not a Parquet file: whoever reads it fails")
    table.land(rows("k3 2026-01-03 2", "k4 2026-01-04 1"))
    table.take()
    after = manifest_of(table).partitions
    assert {day for day in after if after[day] != before.get(day)} == {"2026-01-03", "2026-01-04"}


def test_where_the_key_decides_the_partition_no_other_is_looked_at(lake: Lake) -> None:
    table = Driven(lake, spec_of("t", DAILY, keys=("id", "day")))
    table.land(rows("k 2026-01-01 1", "k 2026-01-02 1"))
    table.take()
    lake.write(manifest_of(table).partitions["2026-01-01"].object, b"nobody reads this")
    table.land(rows("k 2026-01-02 2"))
    books = table.take()
    assert books is not None
    assert books.updated == 1


def test_a_partition_whose_rows_stay_the_same_is_not_written(lake: Lake) -> None:
    table = Driven(lake, spec_of("t", DAILY))
    table.land(rows("a 2026-01-01 1", "b 2026-01-02 1"))
    table.take()
    before = manifest_of(table).partitions
    table.land(rows("a 2026-01-01 1", "b 2026-01-02 2"))
    table.take()
    after = manifest_of(table).partitions
    assert after["2026-01-01"] == before["2026-01-01"]
    assert after["2026-01-02"] != before["2026-01-02"]


def test_a_backfill_makes_the_chosen_partitions_right_and_takes_no_newer_bronze(lake: Lake) -> None:
    table = Driven(lake, spec_of("t", DAILY))
    table.land(rows("a 2026-01-01 1", "b 2026-01-02 1", "x 2026-01-02 -1"))
    table.take()
    table.land(rows("a 2026-01-02 2"))
    table.take()
    whole = table.rows()
    table.land(rows("b 2026-01-03 3"))
    books = table.take("2026-01-02")
    assert books is not None
    assert (books.read, books.inserted, books.deduplicated, books.quarantined) == (4, 2, 1, 1)
    assert table.rows() == whole
    table.take()
    assert table.partitions() == {"2026-01-02": 1, "2026-01-03": 1}


def test_partitions_chosen_of_a_table_that_never_ran_are_made_and_the_first_run_makes_all(lake: Lake) -> None:
    table = Driven(lake, spec_of("t", DAILY))
    table.land(rows("a 2026-01-01 1", "b 2026-01-02 1"))
    table.take("2026-01-02")
    assert table.partitions() == {"2026-01-02": 1}
    table.land(rows("b 2026-01-01 2"))
    table.take("2026-01-01")
    assert table.partitions() == {"2026-01-01": 1, "2026-01-02": 1}, "all of the same bronze"
    table.take()
    assert table.partitions() == {"2026-01-01": 2}


def test_partitions_chosen_after_the_definition_changed_are_refused_until_the_table_was_made_anew(lake: Lake) -> None:
    old = Driven(lake, spec_of("t", DAILY))
    old.land(rows("a 2026-01-01 1"))
    old.take()
    new = Driven(lake, spec_of("t", PartitionBy(column="day", every="month", start="2026-01-01")))
    with pytest.raises(PartitionsOfOldDefinitionError, match="Run the job 'w' without choosing"):
        new.take("2026-01-01")
    new.take()
    assert new.partitions() == {"2026-01-01": 1}
    assert new.rows() == new.plain_rows()


def test_a_table_is_cut_into_partitions_and_put_together_again(any_lake: Lake) -> None:
    whole, cut = (Driven(any_lake, spec_of("t", way)) for way in (None, DAILY))
    whole.land(rows("a 2026-01-01 1", "b 2026-01-02 1"))
    for table in (whole, cut, whole):
        table.take()
        assert [row["id"] for row in table.rows()] == ["a", "b"]
        assert table.rows() == table.plain_rows()
        table.land(rows("b 2026-01-03 1"))
        table.take()
        assert [row["id"] for row in table.rows()] == ["a", "b"]


def test_a_table_without_a_row_has_its_columns(lake: Lake) -> None:
    table = Driven(lake, spec_of("t", DAILY))
    table.land(rows("a 2026-01-01 -1"))
    table.take()
    assert table.rows() == []
    assert "day" in silver_table(lake, table.spec.id).scan().collect_schema().names()
    table.land(rows("a 2026-01-01 1"))
    table.take()
    assert table.partitions() == {"2026-01-01": 1}


def key_of(by: PartitionBy, tmp_path: Path, *, types: dict[str, str], column: str, value: str) -> str:
    sql = by.key("landing/w/t/", types)
    with connect(tmp_path) as connection:
        found = connection.execute(f"SELECT {sql} FROM (SELECT {value} AS {column})").fetchall()
    return str(found[0][0])


@pytest.mark.parametrize(
    ("every", "moment", "key"),
    [
        ("day", "2026-03-28 23:30:00", "2026-03-29"),
        ("week", "2026-03-29 21:59:00", "2026-03-23"),
        ("week", "2026-03-29 22:00:00", "2026-03-30"),
        ("month", "2026-03-31 22:00:00", "2026-04-01"),
        ("hour", "2026-03-29 01:00:00", "2026-03-29-03"),
        ("hour", "2026-10-25 00:30:00", "2026-10-25-02"),
        ("hour", "2026-10-25 01:30:00", "2026-10-25-02+0100"),
        ("hour", "2026-10-25 02:00:00", "2026-10-25-03"),
    ],
)
def test_time_partitions_are_those_of_the_local_clock_and_the_ones_dagster_lists(
    every: Any, moment: str, key: str, tmp_path: Path
) -> None:
    by = PartitionBy(column="at", every=every, start="2026-01-01", timezone="Europe/Berlin")
    found = key_of(by, tmp_path, types={"at": "timestamp"}, column="at", value=f"TIMESTAMP '{moment}'")
    assert found == key
    listed = partitions_def(spec_of("t", by))
    assert listed is not None
    assert key in listed.get_partition_keys(current_time=datetime(2027, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("path", "every", "file", "key"),
    [
        ("{date}/*", "day", "2026-01-02/x.csv", "2026-01-02"),
        ("{date}/*", "day", "nonsense/x.csv", "__null__"),
        ("*/{month}/", "month", "in/2026-03/deep/x.csv", "2026-03-01"),
        ("sales_{date}.csv", None, "sales_monday.csv", "monday"),
        ("sales_{date}.csv", None, "other.csv", "__null__"),
        ("country={country}/*", None, "country=DE.x/a.csv", "DE.x"),
    ],
)
def test_a_path_says_the_partition(path: str, every: Any, file: str, key: str, tmp_path: Path) -> None:
    by = PartitionBy(path=path, every=every, start="2026-01-01" if every else None)
    value = f"'landing/w/t/{file}'"
    assert key_of(by, tmp_path, types={}, column="_source_file", value=value) == key


def test_values_that_are_not_declared_wait_in_quarantine_or_are_other(lake: Lake) -> None:
    held = Driven(lake, spec_of("held", PartitionBy(column="id", values=("a", "b"))))
    other = Driven(lake, spec_of("other", PartitionBy(column="day", values=("2026-01-01",), other=True)))
    for table in (held, other):
        table.land(rows("a 2026-01-01 1", "z 2026-01-02 1", "b"))
        table.take()
    assert held.partitions() == {"a": 1, "b": 1}
    assert held.held() == [("1.csv", 2)]
    assert other.partitions() == {"2026-01-01": 1, "__other__": 2}


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({}, "either `column` or `path`"),
        ({"column": "day", "every": "day"}, "needs `start`"),
        ({"column": "day", "every": "day", "start": "soon"}, "is 'soon', which is no date"),
        ({"column": "day", "every": "day", "start": "2026-01-01", "timezone": "Mars"}, "'Mars', which is no time zone"),
        ({"column": "day", "start": "2026-01-01"}, "`partition_by.start` counts with `every` only"),
        ({"column": "day", "other": True}, "`partition_by.other` counts with `values` only"),
        ({"column": "day", "values": ["a", "a"]}, "lists 'a' twice"),
        ({"column": "day", "values": []}, "is empty"),
        ({"path": "*.csv"}, "one part in braces"),
    ],
)
def test_a_partitioning_that_makes_no_sense_is_refused(said: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        PartitionBy(**said)


@given(st.lists(st.text(max_size=250), min_size=2, max_size=6, unique=True))
def test_a_folder_belongs_to_one_partition_and_is_a_plain_name(keys: list[str]) -> None:
    own = {"__null__", "__other__", "__empty__", "archive", "_publishing"}
    folders = [partition_folder(key) for key in (*keys, *(own - set(keys)))]
    assert len(set(folders)) == len(folders)
    assert all(1 <= len(folder) <= 200 and folder.isascii() and "/" not in folder for folder in folders)
    assert not {"archive", "_publishing", ".", ".."} & set(folders)
