"""Rules asked of a whole table: of one that is about to be published, or of one that is.

Belongs here: asking, all row rules in one pass. Does not: the kinds of rule (`rules`), a batch on its way in (`gate`),
how a result is shown (`results`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowforge_checks.gate import EXAMPLES, CheckCount
from flowforge_checks.results import Outcome, of_count, of_finding
from flowforge_checks.rules.conditions import asked_of_all, named_in_errors
from flowforge_checks.rules.sets import SetRule
from flowforge_checks.rules.tables import Judged, TableRule
from flowforge_resources.duck import literal, one_row, quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import duckdb

    from flowforge_checks.rules import Rule


def rows_of_file(table: Path) -> str:
    """SQL of a local Parquet file's rows, numbered by `_rid`: the same number in every pass, and free where unused."""
    return (
        f"(SELECT * RENAME (file_row_number AS _rid) FROM read_parquet({literal(str(table))}, file_row_number = true))"
    )


def judge(
    connection: duckdb.DuckDBPyConnection, rules: Sequence[Rule], judged: Judged, shown: Sequence[str]
) -> list[Outcome]:
    """The outcome of every rule, in their order.

    Args:
        connection: any database.
        rules: of rows and of tables.
        judged: the table; its rows are numbered by `_rid` where a rule is a Python function.
        shown: columns that examples may show: none with personal data.
    """
    of_rows = [rule for rule in rules if rule.judges == "row" and not isinstance(rule, SetRule)]
    counted = {rule.check_name: count for rule, count in _row_counts(connection, of_rows, judged, shown)}
    return [
        of_count(counted[rule.check_name]) if rule.check_name in counted else _of_table(connection, rule, judged, shown)
        for rule in rules
    ]


def _row_counts(
    connection: duckdb.DuckDBPyConnection, rules: Sequence[Rule], judged: Judged, shown: Sequence[str]
) -> list[tuple[Rule, CheckCount]]:
    if not rules:
        return []
    for rule in rules:
        rule.prepare(connection, judged.table)
    broken = {rule.check_name: rule.broken(judged.reads) for rule in rules}
    answers = [*(rule.asked for rule in rules), *broken.values()]
    found = asked_of_all(lambda how: one_row(connection, f"SELECT {_counts(map(how, answers))} FROM {judged.table}"))
    counts = []
    for place, rule in enumerate(rules):
        rows = int(found[len(rules) + place])
        examples = _examples(connection, judged.table, broken[rule.check_name], shown) if rows else ()
        counts.append((rule, _count(rule, int(found[place]), rows, examples)))
    return counts


def _counts(answers: Iterable[str]) -> str:
    return ", ".join(f"count(*) FILTER ({one})" for one in answers)


def _count(rule: Rule, asked: int, broken: int, examples: Sequence[Mapping[str, Any]]) -> CheckCount:
    action = rule.effective_action
    return CheckCount(rule.check_name, rule.severity, action, asked, broken, tuple(examples), rule.tolerated)


def _of_table(connection: duckdb.DuckDBPyConnection, rule: Rule, judged: Judged, shown: Sequence[str]) -> Outcome:
    if not isinstance(rule, TableRule):
        raise TypeError(f"{rule.check_name} is a rule about neither rows nor a table")
    with named_in_errors(rule.check_name):
        return _found(connection, rule, judged, shown)


def _found(connection: duckdb.DuckDBPyConnection, rule: TableRule, judged: Judged, shown: Sequence[str]) -> Outcome:
    finding = rule.judge(connection, judged)
    if not rule.counts_rows:
        return of_finding(rule, finding)
    asked = int(one_row(connection, f"SELECT count(*) FILTER ({rule.asked}) FROM {judged.table}")[0])
    examples: Sequence[Mapping[str, Any]] = ()
    if finding.broken and (rows := _rows_breaking(connection, rule, judged)):
        examples = _examples(connection, f"({rows})", "TRUE", shown)
    return of_count(_count(rule, asked, finding.broken, examples), finding.shown)


def _rows_breaking(connection: duckdb.DuckDBPyConnection, rule: TableRule, judged: Judged) -> str:
    if isinstance(rule, SetRule):
        return rule.rows_breaking_on(connection, judged)
    return rule.rows_breaking(judged)


def _examples(
    connection: duckdb.DuckDBPyConnection, rows: str, broken: str, shown: Sequence[str]
) -> tuple[Mapping[str, Any], ...]:
    """A few rows that break a rule; which ones may differ between runs."""
    if not shown:
        return ()
    values = ", ".join(quote(name) for name in shown)
    found = asked_of_all(
        lambda how: connection.execute(f"SELECT {values} FROM {rows} WHERE {how(broken)} LIMIT {EXAMPLES}").fetchall()
    )
    return tuple(dict(zip(shown, row, strict=True)) for row in found)
