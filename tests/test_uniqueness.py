"""Whether columns identify rows: numbers that are sorted, at once or in parts, and what DuckDB groups."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowforge_checks import uniqueness
from flowforge_checks.uniqueness import parts_to_sort, repeated, rows_sharing

if TYPE_CHECKING:
    from pathlib import Path


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(st.one_of(st.none(), st.integers(-3, 12), st.integers(-(2**63), 2**63 - 1)), max_size=20),
    at_once=st.sampled_from([1, 3, 100]),
)
def test_rows_that_share_a_number_are_counted_however_long_the_column_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: list[int | None], at_once: int
) -> None:
    monkeypatch.setattr(uniqueness, "SORTED_ROWS", at_once)
    table = tmp_path / "table.parquet"
    pl.DataFrame({"key": values}, schema={"key": pl.Int64}).write_parquet(table)
    with duckdb.connect() as connection:
        found = rows_sharing(connection, table, ["key"], len(values))
    assert found == sum(times for times in Counter(values).values() if times > 1)


@given(values=st.lists(st.one_of(st.none(), st.integers(-3, 12), st.integers(-(2**63), 2**63 - 1)), max_size=20))
def test_what_is_repeated_is_each_once(values: list[int | None]) -> None:
    found = repeated(pl.Series(values, dtype=pl.Int64)).to_list()
    assert sorted(found) == sorted(one for one, times in Counter(values).items() if times > 1 and one is not None)


def test_what_is_too_long_to_sort_is_left_to_duckdb() -> None:
    assert parts_to_sort(uniqueness.SORTED_ROWS * 10) == 10
    assert parts_to_sort(uniqueness.SORTED_ROWS * 10 + 1) is None
