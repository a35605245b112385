"""Hand cases of change data capture: what AUTO CDC, dbt's snapshots and Kimball's type 2 say, and others get wrong.

Each is a story of one or two keys, taken in several orders of arrival, each event in a batch of its own, and in one batch: the
outcome is that of the events in their order. Where the order of arrival is meant to count (ties), it says so.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from flowforge_assets.formats.file_options import FileOptions
from flowforge_assets.strategies.spec import Strategy
from flowforge_assets.table_spec import Column, TableSpec
from flowforge_resources.layout import TableId
from merging import Merged

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# Of the orders of arrival: those of three events, and as many of more.
ORDERS = 4
Event = tuple[str | None, ...]
NAMES = ("id", "a", "b", "op", "seq", "sub")
SPEC = TableSpec(
    id=TableId("w", "t"),
    files="*",
    file=FileOptions(),
    columns=(
        Column(name="id"),
        Column(name="a"),
        Column(name="b"),
        Column(name="op"),
        Column(name="seq", type="integer"),
        Column(name="sub", type="integer"),
    ),
    keys=("id",),
    sequence_by=("seq",),
    surrogate_key="t_key",
    strategy=Strategy(delete_when="op = 'D'", except_columns=("op", "sub")),
)
HISTORY = Strategy(kind="scd2", version_key="t_version_key", delete_when="op = 'D'", except_columns=("op", "sub"))


def events(*said: str) -> list[Event]:
    """`id a b op seq [sub]` each; `-` is null."""
    return [
        tuple(None if word == "-" else word for word in one.split()) + (None,) * (len(NAMES) - len(one.split()))
        for one in said
    ]


def outcome(folder: Path, spec: TableSpec, order: Sequence[Event], *names: str) -> list[tuple[Any, ...]]:
    """The table after one batch an event."""
    folder.mkdir(parents=True)
    table = Merged(folder, spec)
    for number, event in enumerate(order):
        assert table.take(number, [[dict(zip(NAMES, event, strict=True))]]).balances
    return table.values(*names)


def in_any_order(
    folder: Path, spec: TableSpec, said: Sequence[Event], *names: str, expected: list[tuple[Any, ...]]
) -> None:
    orders = list(itertools.permutations(said))
    for place, order in enumerate(orders[:: max(1, len(orders) // ORDERS)]):
        assert outcome(folder / str(place), spec, order, *names) == expected, f"in the order {order}"
    together = folder / "together"
    together.mkdir()
    table = Merged(together, spec)
    assert table.take(0, [[dict(zip(NAMES, event, strict=True)) for event in reversed(said)]]).balances
    assert table.values(*names) == expected, "in one batch"


TYPE_1: dict[str, tuple[list[Event], list[tuple[Any, ...]]]] = {
    "a tombstone in front of its row": (events("1 x y D 5", "1 x y I 3"), []),
    "a row behind a tombstone brings the key back": (
        events("1 x y I 1", "1 - - D 2", "1 z y I 3"),
        [("1", "z", "y")],
    ),
    "two tombstones, and a row between them": (events("1 x y I 2", "1 - - D 1", "1 - - D 3"), []),
    "a delete of a key nobody knows": (events("9 - - D 1", "1 x y I 1"), [("1", "x", "y")]),
    "an update without an insert is a row": (events("1 x y U 4"), [("1", "x", "y")]),
    "the key of one is not the key of another": (
        events("1 x y I 1", "01 q r I 1", "1 - - D 2"),
        [("01", "q", "r")],
    ),
}


@pytest.mark.parametrize("case", TYPE_1)
def test_type_1(tmp_path: Path, case: str) -> None:
    said, expected = TYPE_1[case]
    in_any_order(tmp_path, SPEC, said, "id", "a", "b", expected=expected)


TYPE_2: dict[str, tuple[list[Event], list[tuple[Any, ...]]]] = {
    "a late row in front of the first version": (
        events("1 x y I 3", "1 w y I 1", "1 z y U 5"),
        [("w", 1, 3), ("x", 3, 5), ("z", 5, None)],
    ),
    "a late row like the first version moves its beginning back": (
        events("1 x y I 3", "1 x y I 1", "1 z y U 5"),
        [("x", 1, 5), ("z", 5, None)],
    ),
    "a late delete between two versions leaves a gap": (
        events("1 x y I 1", "1 z y U 5", "1 - - D 3"),
        [("x", 1, 3), ("z", 5, None)],
    ),
    "a late delete within one version splits it only where the row is said again": (
        events("1 x y I 1", "1 x y U 5", "1 - - D 3"),
        [("x", 1, 3), ("x", 5, None)],
    ),
    "a key that comes back as it was is a new version": (
        events("1 x y I 1", "1 - - D 2", "1 x y I 4"),
        [("x", 1, 2), ("x", 4, None)],
    ),
    "a value that comes back is a new version": (
        events("1 x y I 1", "1 z y U 2", "1 x y U 3"),
        [("x", 1, 2), ("x", 3, None), ("z", 2, 3)],
    ),
    "a delete said twice ends the version once": (
        events("1 x y I 1", "1 - - D 2", "1 - - D 4"),
        [("x", 1, 2)],
    ),
    "a delete in front of the first version": (events("1 x y I 3", "1 - - D 1"), [("x", 3, None)]),
    "nothing but a delete": (events("1 - - D 1"), []),
    "null is a value": (events("1 x y I 1", "1 - y U 2", "1 x y U 3"), [("x", 1, 2), ("x", 3, None), (None, 2, 3)]),
}


@pytest.mark.parametrize("case", TYPE_2)
def test_type_2(tmp_path: Path, case: str) -> None:
    said, expected = TYPE_2[case]
    spec = replace(SPEC, strategy=HISTORY)
    in_any_order(tmp_path, spec, said, "a", "valid_from", "valid_to", expected=expected)


def test_of_rows_with_equal_sequence_the_one_that_comes_later_counts(tmp_path: Path) -> None:
    """AUTO CDC wants one row a key and sequence, and leaves it open which counts otherwise."""
    said = events("1 x y I 1", "1 - - D 2", "1 z y I 2")
    names = ("a", "valid_from", "valid_to")
    history = replace(SPEC, strategy=HISTORY)
    assert outcome(tmp_path / "1", SPEC, said, "a") == [("z",)]
    assert outcome(tmp_path / "2", SPEC, [said[0], said[2], said[1]], "a") == []
    assert outcome(tmp_path / "3", history, said, *names) == [("x", 1, 2), ("z", 2, None)]
    assert outcome(tmp_path / "4", history, [said[0], said[2], said[1]], *names) == [("x", 1, 2)]


def test_several_sequence_columns_order_as_a_struct_does(tmp_path: Path) -> None:
    """`SEQUENCE BY STRUCT(seq, sub)`: the second where the first is equal; the version begins at the first."""
    said = events("1 x y I 1 9", "1 z y U 2 1", "1 w y U 2 3", "1 v y U 2 2")
    ordered = replace(SPEC, sequence_by=("seq", "sub"))
    in_any_order(tmp_path, ordered, said, "a", expected=[("w",)])
    history = replace(ordered, strategy=HISTORY)
    expected = [("w", 2, None), ("x", 1, 2)]
    in_any_order(tmp_path / "history", history, said, "a", "valid_from", "valid_to", expected=expected)


def test_track_history_on_and_except_update_the_rest_in_place(tmp_path: Path) -> None:
    said = events("1 x 1 I 1", "1 x 2 U 2", "1 z 3 U 3", "1 z 4 U 4")
    on = replace(SPEC, strategy=replace(HISTORY, tracked=("a",)))
    expected = [("x", "2", 1, 3), ("z", "4", 3, None)]
    in_any_order(tmp_path, on, said, "a", "b", "valid_from", "valid_to", expected=expected)


def test_ignored_nulls_keep_what_was_said_since_the_key_was_last_deleted(tmp_path: Path) -> None:
    said = events("1 x y I 1", "1 - z U 2", "1 - - D 3", "1 - q I 4")
    spec = replace(SPEC, strategy=replace(SPEC.strategy, ignore_null=("a", "b")))
    in_any_order(tmp_path, spec, said, "a", "b", expected=[(None, "q")])
    history = replace(SPEC, strategy=replace(HISTORY, ignore_null=("a", "b")))
    expected = [("x", "y", 1, 2), ("x", "z", 2, 3), (None, "q", 4, None)]
    in_any_order(tmp_path / "history", history, said, "a", "b", "valid_from", "valid_to", expected=expected)


def test_ignored_nulls_of_one_column_leave_the_null_of_another(tmp_path: Path) -> None:
    said = events("1 x y I 1", "1 - - U 2")
    spec = replace(SPEC, strategy=replace(SPEC.strategy, ignore_null=("a",)))
    in_any_order(tmp_path, spec, said, "a", "b", expected=[("x", None)])


def test_a_truncate_takes_older_rows_whenever_they_come_and_leaves_newer_ones(tmp_path: Path) -> None:
    spec = replace(SPEC, strategy=replace(SPEC.strategy, truncate_when="op = 'T'"))
    said = events("1 x y I 1", "2 x y I 4", "- - - T 3", "3 q r I 2")
    in_any_order(tmp_path, spec, said, "id", expected=[("2",)])


def test_a_truncate_delivered_again_with_the_rows_behind_it_leaves_them(tmp_path: Path) -> None:
    """A task that is repeated brings both again, of one sequence: the rows stand behind the truncate each time."""
    spec = replace(SPEC, strategy=replace(SPEC.strategy, truncate_when="op = 'T'", ignore_null=("a",)))
    said = [dict(zip(NAMES, event, strict=True)) for event in events("1 x y I 5", "- - - T 5", "2 q r I 5")]
    table = Merged(tmp_path, spec)
    for _ in range(2):
        assert table.take(0, [said]).balances
        assert table.values("id", "a", "b") == [("2", "q", "r")]


EXTRACTS: dict[str, tuple[list[list[Event]], list[tuple[Any, ...]]]] = {
    # a is the scope
    "a key that moved to another scope is no more of the one it left": (
        [events("1 n y - 1", "2 n y - 1"), events("1 s y - 2"), events("2 n z - 3")],
        [("1", "s", "y"), ("2", "n", "z")],
    ),
    "a key that a row deleted comes back with an extract, whatever its sequence": (
        [events("1 n y - 1", "2 n y - 1"), events("1 n - D 3", "2 n y - 3"), events("1 n y - 2", "2 n y - 4")],
        [("1", "n", "y"), ("2", "n", "y")],
    ),
    "what changes behind a return is newer than it, though its sequence lies before the moment of the return": (
        [
            events("1 n y - 2", "2 n y - 9"),
            events("2 n y - 9"),
            events("1 n y - 2", "2 n y - 9"),
            events("1 n z - 5", "2 n y - 9"),
        ],
        [("1", "n", "z"), ("2", "n", "y")],
    ),
    "of two rows of a key that comes back the newer one counts, whichever comes first": (
        [events("1 n y - 5", "2 n y - 9"), events("2 n y - 9"), events("1 n z - 5", "1 n w - 3", "2 n y - 9")],
        [("1", "n", "z"), ("2", "n", "y")],
    ),
    "rows behind a return keep their order": (
        [
            events("1 n y - 2", "2 n y - 9"),
            events("2 n y - 9"),
            events("1 n y - 2", "2 n y - 9"),
            events("1 n - D 10", "1 n z - 4", "2 n y - 9"),
        ],
        [("2", "n", "y")],
    ),
    "the same behind a return, deleted": (
        [
            events("1 n y - 2", "2 n y - 9"),
            events("2 n y - 9"),
            events("1 n y - 2", "2 n y - 9"),
            events("1 n - D 5", "2 n y - 9"),
        ],
        [("2", "n", "y")],
    ),
}


@pytest.mark.parametrize("case", EXTRACTS)
def test_full_extracts_leave_the_same_rows_current_by_each_strategy(tmp_path: Path, case: str) -> None:
    """Rows of type 1 are the current ones of type 2, and `delete` leaves of a history what `invalidate` keeps open."""
    extracts, expected = EXTRACTS[case]
    scope = "a" if "scope" in case else None
    for kind, absent in (("upsert", "delete"), ("scd2", "invalidate"), ("scd2", "delete")):
        folder = tmp_path / kind / absent
        folder.mkdir(parents=True)
        made = replace(SPEC.strategy, kind=kind, delete_absent=absent, within=scope, version_key="v")  # type: ignore[arg-type]
        table = Merged(folder, replace(SPEC, strategy=made))
        for number, extract in enumerate(extracts):
            assert table.take(number, [[dict(zip(NAMES, event, strict=True)) for event in extract]]).balances
        current = [row for row in table.table() if row.get("is_current", True)]
        assert sorted(tuple(row[name] for name in ("id", "a", "b")) for row in current) == expected, f"{kind}, {absent}"
        assert all(
            row["valid_to"] is None or row["valid_from"] < row["valid_to"] for row in table.table() if "v" in row
        )


def test_a_snapshot_ends_what_is_gone_and_opens_it_again_as_dbt_does(tmp_path: Path) -> None:
    """dbt's `check` strategy with `hard_deletes: invalidate`: a gap from the snapshot without the key to the one with it."""
    strategy = Strategy(
        kind="scd2", version_key="t_version_key", delete_absent="invalidate", except_columns=("op", "seq", "sub")
    )
    table = Merged(tmp_path, replace(SPEC, sequence_by=(), strategy=strategy))
    for number, said in enumerate(("1 x y", "2 p q"), start=0):
        rows = [
            dict(zip(NAMES, event, strict=True))
            for event in events("2 p q - -", *([f"{said} - -"] if number == 0 else []))
        ]
        table.take(number, [rows])
    table.take(2, [[dict(zip(NAMES, event, strict=True)) for event in events("2 p r - -", "1 x y - -")]])
    found = table.values("id", "a", "b", "is_current")
    assert found == [("1", "x", "y", False), ("1", "x", "y", True), ("2", "p", "q", False), ("2", "p", "r", True)]
    moments = {row[:2]: row[2:] for row in table.values("id", "b", "valid_from", "valid_to") if row[0] == "2"}
    assert moments["2", "q"][1] == moments["2", "r"][0], "no gap where the key was there all the time"
    gone, back = sorted(row for row in table.values("valid_from", "valid_to", "id") if row[2] == "1")
    assert isinstance(gone[1], datetime)
    assert gone[0] < gone[1] < back[0]
    assert back[1] is None


def test_compound_keys_that_read_the_same_are_two(tmp_path: Path) -> None:
    spec = replace(SPEC, keys=("id", "a"))
    said = events("a bc y I 1", "ab c z I 1", "a bc - D 2")
    in_any_order(tmp_path, spec, said, "id", "a", "b", expected=[("ab", "c", "z")])
