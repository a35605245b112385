"""Each strategy by hand: what becomes of rows, deletes, late rows, extracts and duplicates, and what the books say."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from flowforge_assets.formats.file_options import FileOptions
from flowforge_assets.strategies.spec import Strategy
from flowforge_assets.table_spec import Column, TableSpec
from flowforge_checks.rules import NotNull
from flowforge_resources.layout import TableId
from merging import FIRST, Merged, as_bag

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_checks.books import Books

SPEC = TableSpec(
    id=TableId("w", "t"),
    files="*",
    file=FileOptions(),
    columns=(
        Column(name="id"),
        Column(name="region"),
        Column(name="name"),
        Column(name="at", type="date"),
        Column(name="op"),
    ),
    keys=("id",),
    sequence_by=(),
    surrogate_key="t_key",
)
HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)


def spec_of(kind: str, **options: Any) -> TableSpec:
    fields = {name: options.pop(name) for name in ("keys", "sequence_by", "rules") if name in options}
    made = Strategy(kind=kind, version_key="t_version_key" if kind == "scd2" else "", **options)  # type: ignore[arg-type]
    return replace(SPEC, strategy=made, **fields)


def row(
    key: str | None, name: str | None = None, at: str | None = None, region: str = "r", op: str = ""
) -> dict[str, Any]:
    return {"id": key, "region": region, "name": name, "at": at, "op": op}


def take(table: Merged, *files: list[dict[str, Any]]) -> Books:
    books = table.take(table.batches, list(files))
    assert books.balances, str(books)
    return books


def told(books: Books) -> dict[str, int]:
    """The columns of an account that are not zero, without the table's own counts."""
    return {name: n for name, n in books.as_dict().items() if n and name not in ("rows_before", "rows_after")}


def test_append_adds_every_row_once_and_changes_none(tmp_path: Path) -> None:
    table = Merged(tmp_path, spec_of("append", keys=()))
    assert told(take(table, [row("1", "a"), row("1", "a")])) == {"read": 2, "inserted": 2}
    assert told(take(table, [row("1", "a"), row(None, "b")])) == {"read": 2, "inserted": 2}
    assert table.values("id", "name") == [("1", "a"), ("1", "a"), ("1", "a"), (None, "b")]
    assert "t_key" not in table.table()[0]


def test_append_with_keys_keeps_the_first_row_of_a_key(tmp_path: Path) -> None:
    table = Merged(tmp_path, spec_of("append"))
    first = take(table, [row("1", "a"), row("1", "a"), row("1", "b"), row("2", "c")])
    assert told(first) == {
        "read": 4,
        "inserted": 2,
        "deduplicated": 2,
        "duplicates_exact": 1,
        "duplicates_conflicting": 1,
    }
    again = take(table, [row("1", "a"), row("2", "x"), row("3", "y")])
    assert (again.inserted, again.duplicates_exact, again.duplicates_conflicting) == (1, 1, 1)
    assert table.values("id", "name") == [("1", "a"), ("2", "c"), ("3", "y")]


def test_a_full_refresh_is_the_newest_extract(tmp_path: Path) -> None:
    table = Merged(tmp_path, spec_of("full_refresh"))
    take(table, [row("1", "a"), row("2", "b")])
    books = take(table, [row("9", "old")], [row("2", "b"), row("3", "c")])
    assert told(books) == {"read": 3, "late": 1, "inserted": 1, "unchanged": 1, "rows_removed": 1}
    assert table.values("id", "name") == [("2", "b"), ("3", "c")]


def test_a_full_refresh_without_keys_keeps_equal_rows(tmp_path: Path) -> None:
    table = Merged(tmp_path, spec_of("full_refresh", keys=()))
    take(table, [row("1", "a"), row("1", "a")])
    books = take(table, [row("1", "a")])
    assert told(books) == {"read": 1, "inserted": 1, "rows_removed": 2}
    assert table.values("id", "name") == [("1", "a")]


def test_a_full_refresh_of_rows_that_all_break_a_rule_leaves_the_table(tmp_path: Path) -> None:
    table = Merged(tmp_path, spec_of("full_refresh", rules=(NotNull(rule="not_null", column="name"),)))
    take(table, [row("1", "a")])
    assert told(take(table, [row("1"), row("2")])) == {"read": 2, "quarantined": 2}
    assert table.values("id", "name") == [("1", "a")]


def test_a_full_refresh_in_several_files_is_one_extract_a_run(tmp_path: Path) -> None:
    table = Merged(tmp_path, spec_of("full_refresh", extract="folder"))
    take(table, [row("1", "a")], [row("2", "b")])
    assert table.values("id") == [("1",), ("2",)], "both files are of the folder `0/`"
    take(table, [row("3", "c")])
    assert table.values("id") == [("3",)]


def test_duplicates_that_say_the_same_are_told_from_those_that_do_not(tmp_path: Path) -> None:
    table = Merged(tmp_path, SPEC)
    books = take(table, [row("1", "a"), row("1", "b"), row("1", "b"), row("2", "c")])
    assert (books.duplicates_exact, books.duplicates_conflicting, books.deduplicated) == (1, 1, 2)


def test_a_delete_of_a_row_that_breaks_rules_needs_its_key_alone(tmp_path: Path) -> None:
    rules = (NotNull(rule="not_null", column="name"),)
    table = Merged(tmp_path, spec_of("upsert", delete_when="op = 'D'", rules=rules))
    take(table, [row("1", "a"), row("2", "b")])
    assert told(take(table, [row("1", op="D"), row(None, op="D")])) == {"read": 2, "deleted": 1, "quarantined": 1}
    assert table.values("id") == [("2",)]
    assert told(take(table, [row("1", "again")])) == {"read": 1, "inserted": 1}
    assert table.state is None, "what arrives in order needs no memory"
    assert told(take(table, [row("2", at="0000-00-00", op="D")])) == {"read": 1, "deleted": 1}
    assert table.values("id") == [("1",)]


@pytest.mark.parametrize("what", ["sequence", "condition"])
def test_what_says_that_a_row_is_a_delete_and_when_must_cast(tmp_path: Path, what: str) -> None:
    asked = {"sequence": {"sequence_by": ("at",)}, "condition": {"delete_when": "\"at\" IS NULL OR op = 'D'"}}[what]
    table = Merged(tmp_path, spec_of("upsert", **{"delete_when": "op = 'D'", **asked}))
    take(table, [row("1", "a", "2026-01-01")])
    assert told(take(table, [row("1", at="0000-00-00", op="D")])) == {"read": 1, "quarantined": 1}
    assert table.values("id") == [("1",)]


def test_a_late_row_does_not_bring_a_deleted_key_back(tmp_path: Path) -> None:
    table = Merged(tmp_path, spec_of("upsert", delete_when="op = 'D'", sequence_by=("at",)))
    take(table, [row("1", "a", "2026-01-01")])
    take(table, [row("1", None, "2026-01-05", op="D")])
    assert told(take(table, [row("1", "late", "2026-01-03")])) == {"read": 1, "late": 1}
    assert table.table() == []
    assert told(take(table, [row("1", "back", "2026-01-06")])) == {"read": 1, "inserted": 1}
    assert table.values("id", "name") == [("1", "back")]


def test_the_delete_of_an_unknown_key_is_remembered(tmp_path: Path) -> None:
    table = Merged(tmp_path, spec_of("upsert", delete_when="op = 'D'", sequence_by=("at",)))
    take(table, [row("2", "b", "2026-01-01")])
    assert told(take(table, [row("1", None, "2026-01-05", op="D")])) == {"read": 1, "unchanged": 1}
    assert table.changed, "the next run has to know it"
    take(table, [row("1", "late", "2026-01-03")])
    assert table.values("id") == [("2",)]


def test_equal_sequences_go_by_arrival_whatever_they_say(tmp_path: Path) -> None:
    table = Merged(tmp_path, spec_of("upsert", delete_when="op = 'D'", sequence_by=("at",)))
    take(table, [row("1", None, "2026-01-01", op="D"), row("1", "a", "2026-01-01")])
    take(table, [row("2", "a", "2026-01-01"), row("2", None, "2026-01-01", op="D")])
    assert table.values("id", "name") == [("1", "a")]


def test_history_goes_by_arrival_where_no_sequence_is_declared(tmp_path: Path) -> None:
    table = Merged(tmp_path, spec_of("scd2", delete_when="op = 'D'"))
    take(table, [row("1", "a"), row("1", "b"), row("2", "x")])
    assert told(take(table, [row("1", "b"), row("2", None, op="D")])) == {"read": 2, "unchanged": 1, "closed": 1}
    take(table, [row("2", "x")])
    assert table.values("id", "name", "valid_from", "valid_to", "is_current") == [
        ("1", "a", FIRST, FIRST + TICK, False),
        ("1", "b", FIRST + TICK, None, True),
        ("2", "x", FIRST, FIRST + HOUR, False),
        ("2", "x", FIRST + 2 * HOUR, None, True),
    ]
    assert table.state is None


def test_a_late_row_splits_the_version_it_falls_into(tmp_path: Path) -> None:
    table = Merged(tmp_path, spec_of("scd2", sequence_by=("at",)))
    take(table, [row("1", "a", "2026-01-01"), row("1", "a", "2026-01-20")])
    books = take(table, [row("1", "b", "2026-01-10")])
    assert told(books) == {"read": 1, "inserted": 1, "rows_split": 1}
    assert [(n, str(f), t and str(t)) for n, f, t in table.values("name", "valid_from", "valid_to")] == [
        ("a", "2026-01-01", "2026-01-10"),
        ("a", "2026-01-20", None),
        ("b", "2026-01-10", "2026-01-20"),
    ]


def test_a_late_row_like_its_successor_moves_the_beginning_back(tmp_path: Path) -> None:
    table = Merged(tmp_path, spec_of("scd2", sequence_by=("at",)))
    take(table, [row("1", "a", "2026-01-01"), row("1", "b", "2026-01-10")])
    assert told(take(table, [row("1", "b", "2026-01-05")])) == {"read": 1, "inserted": 1, "rows_removed": 1}
    assert told(take(table, [row("1", "a", "2026-01-03")])) == {"read": 1, "updated": 1}
    assert [(n, str(f)) for n, f in table.values("name", "valid_from")] == [("a", "2026-01-01"), ("b", "2026-01-05")]


def test_a_version_without_a_beginning_is_held(tmp_path: Path) -> None:
    table = Merged(tmp_path, spec_of("scd2", sequence_by=("at",)))
    assert told(take(table, [row("1", "a"), row("2", "b", "2026-01-01")])) == {
        "read": 2,
        "quarantined": 1,
        "inserted": 1,
    }


@pytest.mark.parametrize("at_once", [True, False])
def test_keys_absent_from_an_extract_end(tmp_path: Path, at_once: bool) -> None:
    extracts = [
        [row("1", "a", "2026-01-01"), row("2", "b", "2026-01-01")],
        [row("1", "a", "2026-01-02")],
        [row("1", "c", "2026-01-03"), row("2", "b", "2026-01-03")],
    ]
    table = Merged(tmp_path, spec_of("scd2", sequence_by=("at",), delete_absent="invalidate"))
    if at_once:
        take(table, *extracts)
    else:
        for extract in extracts:
            take(table, extract)
    assert [(i, n, str(f), t and str(t)) for i, n, f, t in table.values("id", "name", "valid_from", "valid_to")] == [
        ("1", "a", "2026-01-01", "2026-01-03"),
        ("1", "c", "2026-01-03", None),
        ("2", "b", "2026-01-01", "2026-01-02"),
        ("2", "b", "2026-01-03", None),
    ]


def test_an_absent_key_that_comes_back_as_it_was_is_open_again(tmp_path: Path) -> None:
    table = Merged(tmp_path, spec_of("scd2", sequence_by=("at",), delete_absent="invalidate"))
    both = [row("1", "a", "2026-01-01"), row("2", "b", "2026-01-05")]
    take(table, both)
    take(table, both[:1])
    take(table, both)
    found = table.values("id", "valid_from", "valid_to", "is_current")
    assert [one[0] for one in found] == ["1", "2", "2"]
    assert [one[3] for one in found] == [True, False, True]
    assert found[1][1] < found[1][2] <= found[2][1]


@pytest.mark.parametrize("at_once", [True, False])
def test_absent_keys_end_by_arrival(tmp_path: Path, at_once: bool) -> None:
    extracts = [[row("1", "a"), row("2", "b")], [row("1", "a")], [row("1", "x"), row("2", "b")], [row("2", "b")]]
    table = Merged(tmp_path, spec_of("scd2", delete_absent="invalidate"))
    if at_once:
        take(table, *extracts)
    else:
        for extract in extracts:
            take(table, extract)
    found = table.values("id", "name", "is_current")
    assert found == [("1", "a", False), ("1", "x", False), ("2", "b", False), ("2", "b", True)]
    assert all(one["valid_to"] is None or one["valid_from"] < one["valid_to"] for one in table.table())


def test_absence_deletes_rows_within_its_scope_only(tmp_path: Path) -> None:
    table = Merged(tmp_path, spec_of("upsert", delete_absent="delete", within="region"))
    take(table, [row("1", "a", region="north"), row("2", "b", region="north")])
    take(table, [row("3", "c", region="south")])
    assert table.values("id") == [("1",), ("2",), ("3",)]
    books = take(table, [row("2", "b", region="north")])
    assert told(books) == {"read": 1, "unchanged": 1, "rows_removed": 1}
    assert table.values("id") == [("2",), ("3",)]


def test_a_held_row_is_no_absence_and_an_extract_without_rows_none_either(tmp_path: Path) -> None:
    rules = (NotNull(rule="not_null", column="name"),)
    table = Merged(tmp_path, spec_of("upsert", delete_absent="delete", rules=rules))
    take(table, [row("1", "a"), row("2", "b")])
    take(table, [row("1", "a"), row("2")])
    assert table.values("id") == [("1",), ("2",)]
    take(table, [])
    assert table.values("id") == [("1",), ("2",)]


def test_a_deleted_absent_key_comes_back_whatever_its_sequence(tmp_path: Path) -> None:
    table = Merged(tmp_path, spec_of("upsert", delete_absent="delete", sequence_by=("at",)))
    both = [row("1", "a", "2026-01-01"), row("2", "b", "2026-01-05")]
    for extract in (both, both[:1], both):
        take(table, extract)
    assert table.values("id") == [("1",), ("2",)]


def test_the_version_key_is_made_of_key_and_beginning(tmp_path: Path) -> None:
    tables = []
    for order in (1, -1):
        (tmp_path / str(order)).mkdir()
        table = Merged(tmp_path / str(order), spec_of("scd2", sequence_by=("at",)))
        for one in [row("1", "a", "2026-01-01"), row("1", "b", "2026-01-10"), row("2", "a", "2026-01-01")][::order]:
            take(table, [one])
        tables.append(table.values("id", "valid_from", "t_key", "t_version_key"))
    assert as_bag(tables[0]) == as_bag(tables[1])  # type: ignore[arg-type]
    assert len({one[3] for one in tables[0]}) == 3
    assert len({one[2] for one in tables[0]}) == 2
    assert all(0 < one[3] < 2**63 for one in tables[0])


def test_moments_of_a_batch_are_kept_apart_from_later_ones(tmp_path: Path) -> None:
    later = [datetime(2026, 1, 1), datetime(2026, 1, 2)]  # noqa: DTZ001  # bronze holds UTC without a zone
    table = Merged(tmp_path, spec_of("scd2"), later)
    take(table, [row("1", name) for name in "abcab"])
    take(table, [row("1", "b"), row("1", "c")])
    spans = [(one["valid_from"], one["valid_to"]) for one in sorted(table.table(), key=lambda one: one["valid_from"])]
    assert len(spans) == 6
    assert all(end == start for (_, end), (start, _) in itertools.pairwise(spans))


@pytest.mark.parametrize("kind", ["upsert", "scd2"])
def test_columns_may_have_any_name(tmp_path: Path, kind: str) -> None:
    names = ("_id", "_op", "key", "version", "old", "_n", "next", "truncate", "fate")
    columns = tuple(Column(name=name) for name in names)
    spec = replace(spec_of(kind, delete_when="_op = 'D'"), columns=columns, keys=("_id", "key"), sequence_by=("_n",))
    table = Merged(tmp_path, spec)
    values = dict.fromkeys(names, "1")
    take(table, [values, {**values, "_n": "2", "version": "x"}, {**values, "key": "2"}])
    take(table, [{**values, "_n": "3", "_op": "D"}], [{**values, "_n": "0"}])
    current = [one for one in table.table() if one.get("is_current", True)]
    assert [one["key"] for one in current] == ["2"]


def test_absence_can_delete_a_key_with_its_history(tmp_path: Path) -> None:
    table = Merged(tmp_path, spec_of("scd2", delete_absent="delete"))
    take(table, [row("1", "a"), row("2", "b")])
    take(table, [row("1", "c"), row("2", "b")])
    books = take(table, [row("2", "b")])
    assert told(books) == {"read": 1, "unchanged": 1, "rows_removed": 2}
    take(table, [row("1", "a"), row("2", "b")])
    assert table.values("id", "name", "is_current") == [("1", "a", True), ("2", "b", True)]
