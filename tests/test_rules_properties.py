"""Laws of rules that take rows out, whatever the rows and batches: a row is in one place, and sets stay free of what breaks them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import polars as pl
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flowforge_assets.formats.file_options import FileOptions
from flowforge_assets.strategies.spec import Strategy
from flowforge_assets.table_spec import Column, TableSpec
from flowforge_checks.rules import Determines, Matches, NotNull, Range, Unique
from flowforge_resources.layout import TableId
from merging import Merged

SPEC = TableSpec(
    id=TableId("w", "t"),
    files="*",
    file=FileOptions(),
    columns=(
        Column(name="id"),
        Column(name="u"),
        Column(name="zip"),
        Column(name="city"),
        Column(name="n", type="integer"),
    ),
    keys=("id",),
    sequence_by=("n",),
    surrogate_key="t_key",
    rules=(
        Range(rule="range", column="n", min=0),
        Matches(rule="matches", column="u", pattern="[a-c]", action="drop"),
        NotNull(rule="not_null", column="city", action="keep"),
        Unique(rule="unique", columns=("u",), action="drop", keep_row="first"),
        Determines(
            rule="determines", columns=("zip",), determines=("city",), action="quarantine", keep_row="most_common"
        ),
    ),
)
ROWS = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["1", "2", "3", "4"]),
        "u": st.sampled_from(["a", "b", "c", "x", None]),
        "zip": st.sampled_from(["8", "9", None]),
        "city": st.sampled_from(["A", "B", None]),
        "n": st.sampled_from(["-1", "0", "1", "x"]),
    }
)
BATCHES = st.lists(st.lists(ROWS, max_size=8), min_size=1, max_size=3)


AGAIN = [[{"id": "2", "u": "a", "zip": None, "city": "B", "n": "0"}]] * 2


@settings(max_examples=18, deadline=None)
@example(AGAIN, "full_refresh", "first")
@given(BATCHES, st.sampled_from(["upsert", "append", "full_refresh"]), st.sampled_from(["first", "none"]))
def test_a_row_is_in_one_place_and_no_set_that_is_published_breaks_its_rule(
    batches: list[list[dict[str, Any]]],
    kind: Literal["upsert", "append", "full_refresh"],
    keep: Literal["first", "none"],
) -> None:
    rules = [*SPEC.rules[:3], *(rule.model_copy(update={"keep_row": keep}) for rule in SPEC.rules[3:])]
    spec = replace(SPEC, strategy=Strategy(kind=kind), rules=tuple(rules))
    with TemporaryDirectory() as folder:
        table = Merged(Path(folder), spec)
        for number, batch in enumerate(batches):
            books = table.take(number, [batch])
            assert books.balances, str(books)
            assert books.read == len(batch)
            _require_clean(table.table())


def _require_clean(rows: list[dict[str, Any]]) -> None:
    assert all(row["n"] is not None and row["n"] >= 0 and row["u"] in (None, "a", "b", "c") for row in rows)
    unique = Counter(row["u"] for row in rows if row["u"] is not None)
    assert all(times == 1 for times in unique.values()), unique
    cities: dict[str, set[str]] = {}
    for row in rows:
        if None not in (row["zip"], row["city"]):
            cities.setdefault(row["zip"], set()).add(row["city"])
    assert all(len(found) == 1 for found in cities.values()), cities


def test_most_rows_say_which_value_of_a_dependency_stays(tmp_path: Path) -> None:
    spec = replace(SPEC, strategy=Strategy(kind="full_refresh"), keys=(), surrogate_key="", rules=SPEC.rules[4:])
    said = [("8", "B"), ("8", "A"), ("8", "A"), ("9", "C"), ("8", None)]
    rows = [
        {"id": str(place), "u": "a", "zip": code, "city": city, "n": "1"} for place, (code, city) in enumerate(said)
    ]
    table = Merged(tmp_path, spec)
    books = table.take(0, [rows])
    assert (books.quarantined, books.inserted) == (1, 4)
    assert sorted(row["id"] for row in table.table()) == ["1", "2", "3", "4"]


def test_a_row_held_by_one_rule_about_rows_beside_it_names_every_other_that_would_hold_it(tmp_path: Path) -> None:
    once = Unique(rule="unique", columns=("u",), action="quarantine", keep_row="first")
    spec = replace(SPEC, strategy=Strategy(kind="full_refresh"), keys=(), surrogate_key="", rules=(once, SPEC.rules[4]))
    said = [("a", "8", "A"), ("b", "8", "A"), ("a", "8", "B"), ("c", "9", "C"), ("c", "9", "C"), ("x", "9", "D")]
    rows = [{"id": str(n), "u": u, "zip": code, "city": city, "n": "1"} for n, (u, code, city) in enumerate(said)]
    table = Merged(tmp_path, spec)
    books = table.take(0, [rows])
    assert (books.quarantined, books.inserted) == (3, 3)
    assert table.quarantine is not None
    waiting = pl.read_parquet(table.quarantine).to_dicts()
    held = {row["id"]: {reason["rule"] for reason in row["_reasons"]} for row in waiting}
    both = {"unique_u", "determines_zip_city"}
    assert held == {"2": both, "4": {"unique_u"}, "5": {"determines_zip_city"}}
