"""Tests of a gold table: the rules of tables, asked of a table that is built and not published yet.

No row of a query's result can wait in quarantine, so a test counts (`keep`, the default) or holds back the whole table
(`block`). Belongs here: judging. Does not: the kinds of rule (`rules`), how a result is shown (`results`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowforge_checks.gate import EXAMPLES, CheckCount
from flowforge_checks.results import Outcome, of_count
from flowforge_resources.duck import literal, one_row, quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import duckdb

    from flowforge_checks.rules import Rule


def as_tests(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Rules as tests: `keep` where no action is written.

    Raises:
        ValueError: a rule says `quarantine`.
    """
    return tuple(_as_test(rule) for rule in rules)


def _as_test(rule: Rule) -> Rule:
    if rule.action != "quarantine":
        return rule
    if "action" in rule.model_fields_set:
        raise ValueError(
            f"test {rule.check_name} says `action: quarantine`, and a row that a query returns cannot wait in quarantine. Write `keep` or `block`, or put the rule on the table the row comes from."
        )
    return rule.model_copy(update={"action": "keep"})


def judge(
    connection: duckdb.DuckDBPyConnection,
    tests: Sequence[Rule],
    table: Path,
    reads: Mapping[str, str],
    shown: Sequence[str],
) -> list[Outcome]:
    """The outcome of every test.

    Args:
        connection: any database.
        tests: as `as_tests` returns them.
        table: local Parquet file of the built table.
        reads: local Parquet file of each table that a test refers to.
        shown: columns that examples may show: none with personal data.
    """
    if not tests:
        return []
    of_rows = [test for test in tests if test.judges == "row"]
    source = f"read_parquet({literal(str(table))})"
    counts = ", ".join(["count(*)", *(f"count(*) FILTER ({_breaks(test, reads)})" for test in of_rows)])
    rows, *broken = one_row(connection, f"SELECT {counts} FROM {source}")
    found = {test.check_name: int(count) for test, count in zip(of_rows, broken, strict=True)}
    for test in tests:
        if test.judges == "table":
            found[test.check_name] = int(one_row(connection, test.valid(reads).format(table=source))[0])
    return [
        of_count(
            CheckCount(
                test.check_name,
                test.severity,
                test.effective_action,
                int(rows),
                found[test.check_name],
                _examples(connection, test, source, reads, shown) if found[test.check_name] else (),
            )
        )
        for test in tests
    ]


def _breaks(test: Rule, reads: Mapping[str, str]) -> str:
    return f"NOT coalesce({test.valid(reads)}, TRUE)"


def _examples(
    connection: duckdb.DuckDBPyConnection, test: Rule, source: str, reads: Mapping[str, str], shown: Sequence[str]
) -> tuple[Mapping[str, Any], ...]:
    """A few rows that break a test; which ones may differ between runs."""
    if test.judges == "table" or not shown:
        return ()
    values = ", ".join(quote(name) for name in shown)
    result = connection.execute(f"SELECT {values} FROM {source} WHERE {_breaks(test, reads)} LIMIT {EXAMPLES}")
    return tuple(dict(zip(shown, row, strict=True)) for row in result.fetchall())
