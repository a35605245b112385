"""The upsert equals a slow reference in plain Python, whatever batches come; the books balance; keys are stable."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowforge_assets.formats.file_options import FileOptions
from flowforge_assets.strategies import dedupe
from flowforge_assets.table_spec import Column, TableSpec
from flowforge_assets.transforms.cast import AUDIT_COLUMNS, surrogate_key
from flowforge_checks.books import Books
from flowforge_checks.rules import NotNull, Range
from flowforge_resources.duck import connect
from flowforge_resources.layout import TableId
from flowforge_resources.scratch import Scratch
from merging import Merged

if TYPE_CHECKING:
    from pathlib import Path

# A key of two parts, so small that keys meet; '' and None break the rule that keys are present.
KEY_PARTS = st.sampled_from(["a", "ab", "b", "bc", "c", "", None, "7", "07", "ü"])
NUMBERS = st.sampled_from(["1", "2", "+2", "-1", "x", "", None])
DATES = st.sampled_from(["2026-01-01", "2026-01-02", "2026-02-30", "", None])
ROWS = st.fixed_dictionaries({"k1": KEY_PARTS, "k2": KEY_PARTS, "n": NUMBERS, "at": DATES, "extra": st.just("e")})
BATCHES = st.lists(st.lists(st.lists(ROWS, min_size=1, max_size=6), min_size=1, max_size=2), min_size=1, max_size=3)
QUICK = settings(max_examples=16, deadline=None, suppress_health_check=[HealthCheck.too_slow])

SPEC = TableSpec(
    id=TableId("w", "t"),
    files="*.csv",
    file=FileOptions(),
    columns=(
        Column(name="k1"),
        Column(name="k2"),
        Column(name="n", type="integer"),
        Column(name="at", type="date"),
        Column(name="missing"),
    ),
    keys=("k1", "k2"),
    sequence_by=("at",),
    surrogate_key="t_key",
    rules=(Range(rule="range", column="n", min=0), NotNull(rule="not_null", column="n", action="keep")),
)


@dataclass
class Reference:
    """What the table and its quarantine must hold, row by row, the obvious way."""

    ordered: bool
    rows: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    held: set[tuple[int, int, int]] = field(default_factory=set)

    def take(self, number: int, batch: list[list[dict[str, Any]]]) -> Books:
        books = dict.fromkeys(("read", "quarantined", "deduplicated", "inserted", "updated", "unchanged", "late"), 0)
        losers: dict[Any, list[dict[str, Any]]] = {}
        before, winners = len(self.rows), {}
        for file_number, file in enumerate(batch):
            for row_number, raw in enumerate(file, start=1):
                books["read"] += 1
                value = self.valid(raw)
                if value is None:
                    books["quarantined"] += 1
                    self.held.add((number, file_number, row_number))
                    continue
                key = (value["k1"], value["k2"])
                if key in winners:
                    books["deduplicated"] += 1
                loser = value
                if key not in winners or not self.older(value, winners[key]):
                    loser, winners[key] = winners.get(key, {}), value
                losers.setdefault(key, []).append(loser)
        exact = sum(loser == winners[key] for key, found in losers.items() for loser in found)
        books |= {"duplicates_exact": exact, "duplicates_conflicting": books["deduplicated"] - exact}
        for key, value in winners.items():
            there = self.rows.get(key)
            if there is None:
                fate = "inserted"
            elif self.older(value, there):
                fate = "late"
            else:
                fate = "unchanged" if value == there else "updated"
            books[fate] += 1
            if fate in ("inserted", "updated"):
                self.rows[key] = value
        return Books(**books, rows_before=before, rows_after=len(self.rows))

    def older(self, value: dict[str, Any], than: dict[str, Any]) -> bool:
        return self.ordered and (value["at"] or date.min) < (than["at"] or date.min)

    def valid(self, raw: dict[str, Any]) -> dict[str, Any] | None:
        number = {"1": 1, "2": 2, "+2": 2, "-1": -1, "x": "broken"}.get(raw["n"] or "")
        at = {"2026-01-01": date(2026, 1, 1), "2026-01-02": date(2026, 1, 2), "2026-02-30": "broken"}.get(
            raw["at"] or ""
        )
        if not raw["k1"] or not raw["k2"] or "broken" in (number, at) or number == -1:
            return None
        return {"k1": raw["k1"], "k2": raw["k2"], "n": number, "at": at, "missing": None}


def both(batches: list[list[list[dict[str, Any]]]], spec: TableSpec, folder: Path) -> tuple[Merged, Reference]:
    real, reference = Merged(folder, spec), Reference(ordered=bool(spec.sequence_by))
    for number, batch in enumerate(batches):
        books = real.take(number, batch)
        assert books == reference.take(number, batch)
        assert books.balances
    return real, reference


@QUICK
@given(batches=BATCHES, ordered=st.booleans(), few_losers=st.sampled_from([0, 1]))
def test_the_table_the_books_and_the_quarantine_are_the_references(
    tmp_path_factory: Any, batches: list[list[list[dict[str, Any]]]], ordered: bool, few_losers: int
) -> None:
    spec = SPEC if ordered else replace(SPEC, sequence_by=())
    with Scratch(tmp_path_factory.getbasetemp() / "merge") as scratch, pytest.MonkeyPatch.context() as patched:
        patched.setattr(dedupe, "_FEW_LOSERS", few_losers)
        real, reference = both(batches, spec, scratch.folder)
        table = real.table()
        shown = [{name: row[name] for name in ("k1", "k2", "n", "at", "missing")} for row in table]
        assert sorted(shown, key=str) == sorted(reference.rows.values(), key=str)
        assert len({row["t_key"] for row in table}) == len(table)
        assert all(row["t_key"] > 0 for row in table)
        assert all(list(row) == ["t_key", "k1", "k2", "n", "at", "missing", *AUDIT_COLUMNS] for row in table)
        waiting = real.table(real.quarantine)
        landings = [landing for row in waiting for landing in row["_landings"]]
        held = [(*map(int, one["source_file"].split("/")), one["row_number"]) for one in landings]
        assert sorted(held) == sorted(reference.held)
        assert len({row["_quarantine_id"] for row in waiting}) == len(waiting)


@QUICK
@given(batches=BATCHES)
def test_a_batch_that_is_taken_again_changes_no_row_and_holds_no_row_twice(
    tmp_path_factory: Any, batches: list[list[list[dict[str, Any]]]]
) -> None:
    with Scratch(tmp_path_factory.getbasetemp() / "again") as scratch:
        real, _ = both(batches, SPEC, scratch.folder)
        before, held = real.table(), real.table(real.quarantine)
        again = real.take(len(batches) - 1, batches[-1])
        assert again.balances
        assert (again.inserted, again.updated) == (0, 0)
        assert sorted(real.table(), key=str) == sorted(before, key=str)
        assert sorted(real.table(real.quarantine), key=str) == sorted(held, key=str)


TEXTS = st.text(alphabet="ab:1ü ", max_size=4)


@QUICK
@given(keys=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=20, unique=True), order=st.randoms())
def test_a_surrogate_key_depends_on_the_natural_key_alone(
    tmp_path_factory: Any, keys: list[tuple[str, str]], order: Any
) -> None:
    def number(rows: list[tuple[str, str]]) -> dict[tuple[str, str], int]:
        with Scratch(tmp_path_factory.getbasetemp() / "keys") as scratch, connect(scratch.folder) as connection:
            connection.execute("CREATE TABLE t (k1 VARCHAR, k2 VARCHAR)")
            connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
            found = connection.execute(f"SELECT k1, k2, {surrogate_key(('k1', 'k2'))} FROM t").fetchall()
        return {(k1, k2): key for k1, k2, key in found}

    first = number(keys)
    shuffled = list(keys)
    order.shuffle(shuffled)
    assert number(shuffled) == first
    assert len(set(first.values())) == len(keys)
    assert all(0 < key < 2**63 for key in first.values())


def test_keys_whose_parts_join_to_the_same_text_are_apart(tmp_path: Path) -> None:
    real = Merged(tmp_path, SPEC)
    rows = [{"k1": k1, "k2": k2, "n": "1", "at": None, "extra": ""} for k1, k2 in (("a", "bc"), ("ab", "c"))]
    books = real.take(0, [rows])
    assert books.inserted == 2
    assert len({row["t_key"] for row in real.table()}) == 2


def test_the_surrogate_key_is_the_one_of_the_first_release(tmp_path: Path) -> None:
    """A kept key must survive an upgrade: MD5 over `1:a2:bc`, its last eight bytes little-endian, halved."""
    real = Merged(tmp_path, SPEC)
    real.take(0, [[{"k1": "a", "k2": "bc", "n": "1", "at": None, "extra": ""}]])
    digest = hashlib.md5(b"1:a2:bc", usedforsecurity=False).digest()
    assert [row["t_key"] for row in real.table()] == [int.from_bytes(digest[8:], "little") >> 1]
