"""Rules about pairs of rows, looked for by hash and by order: the same pairs as by comparing every row with every other."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flowforge_checks.rules import Judged, Rows, pair_join
from flowforge_checks.rules.pair_condition import Comparison, comparisons
from flowforge_checks.rules.pairs import NoPair
from flowforge_resources.errors import TooManyPairsError

CONDITIONS = (
    "a.pay > b.pay AND a.rate < b.rate",
    "a.pay >= b.pay and a.n<=b.n AND a.rate <> b.rate -- AND not read",
    "a.pay < b.rate AND b.pay > a.n",
    "a.word = b.word AND a.pay > b.pay AND a.n > b.n",
    "lower(a.word) = lower(b.word) AND a.pay + 1 > b.pay AND b.rate > a.rate",
    "a.n = b.pay AND a.rate > b.rate AND a.pay < b.n",
    "a.pay > b.pay",
    "a.word = b.word AND abs(a.pay - b.pay) = 1",
    "a.pay > b.pay OR a.rate < b.rate AND a.n < b.n",
    "a.pay BETWEEN b.pay AND b.n AND a.rate < b.rate AND a.n > b.n",
    "NOT a.pay > b.pay AND a.n < b.n AND a.rate > b.rate",
    "CASE WHEN a.pay > b.pay AND a.rate < b.rate THEN TRUE ELSE FALSE END",
    "a.word > b.word AND a.word < b.word || 'z' AND a.word LIKE '%'",
    "a IS NOT DISTINCT FROM b AND a.pay <= b.pay AND a.n >= b.n",
)
SMALL = st.one_of(st.none(), st.integers(0, 3))
ROW = st.tuples(
    SMALL, st.one_of(st.none(), st.sampled_from((0.5, 1.0, 2.5))), SMALL, st.sampled_from((None, "a", "A", "b"))
)
TABLE = "(SELECT * FROM t)"


def filled(rows: list[Any]) -> duckdb.DuckDBPyConnection:
    """A table `t` of rows numbered by `_rid`, and `p`, of the first of them under other ids."""
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE t (_rid BIGINT, id BIGINT, pay INTEGER, rate DOUBLE, n DECIMAL(4, 1), word VARCHAR)"
    )
    if rows:
        connection.executemany(
            "INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)", [(at, at, *row) for at, row in enumerate(rows)]
        )
    connection.execute("CREATE TABLE p AS SELECT * REPLACE (id + 100 AS id) FROM t WHERE _rid < 2")
    return connection


@pytest.mark.parametrize("sql", CONDITIONS)
@settings(max_examples=3, deadline=None)
@example(rows=[(place % 4, 0.5 * (place % 3), place % 2, "aAb"[place % 3]) for place in range(12)], keep="most_common")
@given(rows=st.lists(ROW, max_size=9), keep=st.sampled_from(("most_common", "first", "none")))
def test_pairs_are_those_that_comparing_every_row_with_every_other_finds(sql: str, rows: list[Any], keep: Any) -> None:
    judged = Judged(TABLE, datetime(2026, 1, 1, tzinfo=UTC), {})
    batch = Rows(TABLE, "_rid", ("id",), "p")
    with filled(rows) as connection:
        for columns in ((), ("word",)):
            rule = NoPair(rule="no_pair", name="pair", columns=columns, sql=sql)
            slow = sorted(connection.execute(rule.rows_breaking(judged)).fetchall(), key=str)
            assert sorted(connection.execute(rule.rows_breaking_on(connection, judged)).fetchall(), key=str) == slow
            assert rule.judge(connection, judged).broken == len(slow)
            taking = NoPair(rule="no_pair", name="pair", columns=columns, sql=sql, action="drop", keep_row=keep)
            for beside in (batch, Rows(TABLE, "_rid", ("id",), within="n")):
                lost = sorted(connection.execute(taking.losers(beside)).fetchall())
                assert sorted(connection.execute(taking.losers_on(connection, beside)).fetchall()) == lost


def test_what_a_condition_compares() -> None:
    assert comparisons("a.x > b.x + 1 AND (b.y) <= lower(a.z)") == [
        Comparison("a.x", ">", "b.x + 1"),
        Comparison("lower(a.z)", ">=", "(b.y)"),
    ]
    assert comparisons("a.x > b.x OR a.y < b.y") == []
    assert comparisons("a.x > a.y AND b.x < 'a.b > b.a' AND c.b = b.b AND a.q <> b.q") == []


def test_a_law_of_every_group_is_asked_of_many_rows_by_order() -> None:
    """Compared one by one they would be 1.25 thousand million pairs."""
    rule = NoPair(rule="no_pair", name="grows", columns=("state",), sql="a.pay > b.pay AND a.rate < b.rate")
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE t AS SELECT i % 2 AS state, i AS pay, (1 + i % 2) * i + CASE WHEN i % 25000 = 7 THEN 3 ELSE 0 END AS rate FROM range(50000) r(i)"
        )
        # 7 and 25007 have a rate above that of the next row of their state, and of no other.
        assert rule.judge(connection, Judged("t", datetime(2026, 1, 1, tzinfo=UTC), {})).broken == 0


def test_too_much_to_compare_or_to_find_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_join, "MOST_COMPARED", 30)
    monkeypatch.setattr(pair_join, "MOST_PAIRS", 3)
    judged = Judged(TABLE, datetime(2026, 1, 1, tzinfo=UTC), {})
    with filled([(n, 0.5, 3 - n, "aAb"[n % 3]) for n in (0, 1, 2, 3, 0, 1)]) as connection:
        with pytest.raises(TooManyPairsError, match=r"rule pair: 36 pairs of rows .* and 30 are the most\. Nothing"):
            NoPair(rule="no_pair", name="pair", sql="a.pay > b.pay").judge(connection, judged)
        assert NoPair(rule="no_pair", name="pair", columns=("word",), sql="a.pay > 5 + b.pay").judge(connection, judged)
        with pytest.raises(TooManyPairsError, match="for more than 3 pairs of rows"):
            NoPair(rule="no_pair", name="pair", sql="a.pay > b.pay AND a.n < b.n").judge(connection, judged)
