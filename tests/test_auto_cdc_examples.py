"""The examples of AUTO CDC's documentation, with the results it publishes, whatever the order and batches of arrival."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from flowforge_assets.formats.file_options import FileOptions
from flowforge_assets.strategies.spec import Strategy
from flowforge_assets.table_spec import Column, TableSpec
from flowforge_resources.layout import TableId
from merging import Merged

if TYPE_CHECKING:
    from pathlib import Path

USERS = [
    ("124", "Raul", "Oaxaca", "INSERT", "1"),
    ("123", "Isabel", "Monterrey", "INSERT", "1"),
    ("125", "Mercedes", "Tijuana", "INSERT", "2"),
    ("126", "Lily", "Cancun", "INSERT", "2"),
    ("123", None, None, "DELETE", "6"),
    ("125", "Mercedes", "Guadalajara", "UPDATE", "6"),
    ("125", "Mercedes", "Mexicali", "UPDATE", "5"),
    ("123", "Isabel", "Chihuahua", "UPDATE", "5"),
]
TRUNCATE = (None, None, None, "TRUNCATE", "3")
NAMES = ("user_id", "name", "city", "operation", "sequence_num")
SPEC = TableSpec(
    id=TableId("w", "users"),
    files="*",
    file=FileOptions(),
    columns=(
        Column(name="user_id", type="integer"),
        Column(name="name"),
        Column(name="city"),
        Column(name="operation"),
        Column(name="sequence_num", type="integer"),
    ),
    keys=("user_id",),
    sequence_by=("sequence_num",),
    surrogate_key="users_key",
    strategy=Strategy(delete_when="operation = 'DELETE'", except_columns=("operation", "sequence_num")),
)
SCD2 = replace(SPEC, strategy=replace(SPEC.strategy, kind="scd2", version_key="users_version_key"))


def batches(events: list[tuple[str | None, ...]]) -> list[list[list[dict[str, str | None]]]]:
    """The events at once, one by one, backwards one by one, and in halves that are out of order."""
    rows = [dict(zip(NAMES, event, strict=True)) for event in events]
    halves = [rows[1::2], rows[::2]]
    return [[rows], [[row] for row in rows], [[row] for row in reversed(rows)], halves]


@pytest.mark.parametrize("way", range(4))
@pytest.mark.parametrize("stored", [True, False])
def test_scd_type_1_keeps_the_newest_rows(tmp_path: Path, way: int, stored: bool) -> None:
    spec = replace(SPEC, strategy=replace(SPEC.strategy, except_columns=("operation",))) if stored else SPEC
    table = Merged(tmp_path, spec)
    for number, batch in enumerate(batches(USERS)[way]):
        assert table.take(number, [batch]).balances
    assert table.values("user_id", "name", "city") == [
        (124, "Raul", "Oaxaca"),
        (125, "Mercedes", "Guadalajara"),
        (126, "Lily", "Cancun"),
    ]
    assert ("sequence_num" in table.table()[0]) is stored


@pytest.mark.parametrize("way", range(4))
def test_a_truncate_clears_what_is_older_than_itself(tmp_path: Path, way: int) -> None:
    strategy = replace(SPEC.strategy, truncate_when="operation = 'TRUNCATE'")
    table = Merged(tmp_path, replace(SPEC, strategy=strategy))
    for number, batch in enumerate(batches([*USERS, TRUNCATE])[way]):
        assert table.take(number, [batch]).balances
    assert table.values("user_id", "name", "city") == [(125, "Mercedes", "Guadalajara")]


@pytest.mark.parametrize("way", range(4))
def test_scd_type_2_keeps_every_version(tmp_path: Path, way: int) -> None:
    table = Merged(tmp_path, SCD2)
    for number, batch in enumerate(batches(USERS)[way]):
        assert table.take(number, [batch]).balances
    assert table.values("user_id", "name", "city", "valid_from", "valid_to", "is_current") == [
        (123, "Isabel", "Chihuahua", 5, 6, False),
        (123, "Isabel", "Monterrey", 1, 5, False),
        (124, "Raul", "Oaxaca", 1, None, True),
        (125, "Mercedes", "Guadalajara", 6, None, True),
        (125, "Mercedes", "Mexicali", 5, 6, False),
        (125, "Mercedes", "Tijuana", 2, 5, False),
        (126, "Lily", "Cancun", 2, None, True),
    ]


@pytest.mark.parametrize("way", range(4))
def test_columns_without_history_are_updated_in_place(tmp_path: Path, way: int) -> None:
    table = Merged(tmp_path, replace(SCD2, strategy=replace(SCD2.strategy, tracked=("name",))))
    for number, batch in enumerate(batches(USERS)[way]):
        assert table.take(number, [batch]).balances
    assert table.values("user_id", "name", "city", "valid_from", "valid_to", "is_current") == [
        (123, "Isabel", "Chihuahua", 1, 6, False),
        (124, "Raul", "Oaxaca", 1, None, True),
        (125, "Mercedes", "Guadalajara", 2, None, True),
        (126, "Lily", "Cancun", 2, None, True),
    ]


def test_every_order_of_one_key_gives_the_same_history(tmp_path: Path) -> None:
    events = [
        ("1", "a", "x", "INSERT", "1"),
        ("1", "b", "y", "UPDATE", "2"),
        ("1", None, None, "DELETE", "3"),
        ("1", "a", "z", "INSERT", "4"),
    ]
    for place, order in enumerate(itertools.permutations(events)):
        (tmp_path / str(place)).mkdir()
        table = Merged(tmp_path / str(place), SCD2)
        for number, event in enumerate(order):
            assert table.take(number, [[dict(zip(NAMES, event, strict=True))]]).balances
        assert table.values("name", "city", "valid_from", "valid_to") == [
            ("a", "x", 1, 2),
            ("a", "z", 4, None),
            ("b", "y", 2, 3),
        ]
