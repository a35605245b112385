"""Rules asked of a Polars frame, by the SQL that the gate asks: so that both say the same of a row.

Belongs here: the answer to one rule. Does not: how pandera is told (`pandera_schema`).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flowforge_checks.gate import CheckCount
from flowforge_checks.results import of_count
from flowforge_checks.rules import REMOVES_ROWS, Judged, Rows, SetRule
from flowforge_checks.rules.conditions import tried
from flowforge_checks.rules.tables import TableRule
from flowforge_checks.table_judge import judge
from flowforge_resources.duck import connect, one_row, quote
from flowforge_resources.layout import utc_now
from flowforge_resources.settings import scratch_dir, user_cache

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    import duckdb
    import polars as pl

    from flowforge_checks.contracts import Contract
    from flowforge_checks.rules import Rule

_FRAME, _BEFORE, _OUT, _OF_ROW = "frame", "before", "taken_out", "taken_out_alone"


@dataclass(frozen=True)
class Given:
    """What rules need beside the frame: other tables by name, the version before, the moment they count from."""

    reads: Mapping[str, pl.DataFrame | pl.LazyFrame]
    previous: pl.DataFrame | pl.LazyFrame | None = None
    at: datetime | None = None


class TableRuleBrokenError(Exception):
    """A rule about the table as a whole does not hold; no single row is to blame."""


def absent(key: str, *, text: bool) -> str:
    """SQL: a key column says nothing, as the gate has it."""
    return f"{quote(key)} IS NULL" + (f" OR {quote(key)} = ''" if text else "")


def valid_rows(contract: Contract, rule: Rule, frame: pl.DataFrame, given: Given) -> pl.Series:
    """Whether each row of a frame keeps a rule. As many broken rows as the rule tolerates count as none, where they stay.

    Raises:
        TableRuleBrokenError: the rule is about the table, and no row can be named.
    """
    with _loaded(frame, given) as (connection, judged):
        if isinstance(rule, SetRule) and rule.judges == "row":
            return _told(connection, frame, _losers(connection, contract, rule, judged))
        if isinstance(rule, TableRule) and rule.judges == "table":
            (outcome,) = judge(connection, [rule], judged, [])
            rows = (
                rule.rows_breaking_on(connection, judged) if isinstance(rule, SetRule) else rule.rows_breaking(judged)
            )
            if not outcome.passed and not rows:
                raise TableRuleBrokenError(outcome.description or rule.message)
            return _told(connection, frame, "" if outcome.passed else f"SELECT _rid FROM ({rows})")
        rule.prepare(connection, _FRAME)
        broken = tried(rule.broken(judged.reads))
        if rule.effective_action not in REMOVES_ROWS and _tolerated(connection, rule, broken):
            return _told(connection, frame, "")
        return _told(connection, frame, f"SELECT _rid FROM {_FRAME} WHERE {broken}")


@contextmanager
def _loaded(frame: pl.DataFrame, given: Given) -> Iterator[tuple[duckdb.DuckDBPyConnection, Judged]]:
    """A database in which the frame is `frame`, numbered by `_rid`, with the other tables beside it."""
    import polars as pl

    with connect(scratch_dir(user_cache() / "scratch")) as connection:
        connection.register(_FRAME, frame.with_row_index("_rid").cast({"_rid": pl.Int64}).to_arrow())
        reads = {}
        for number, (name, other) in enumerate(given.reads.items()):
            reads[name] = f"read_{number}"
            connection.register(reads[name], other.lazy().collect().to_arrow())
        if given.previous is not None:
            connection.register(_BEFORE, given.previous.lazy().collect().to_arrow())
        yield connection, Judged(_FRAME, given.at or utc_now(), reads, None if given.previous is None else _BEFORE)


def _told(connection: duckdb.DuckDBPyConnection, frame: pl.DataFrame, broken: str) -> pl.Series:
    """One answer a row, of a query for the `_rid` of those that break the rule."""
    import polars as pl

    rids = [row[0] for row in connection.execute(broken).fetchall()] if broken else []
    numbers = pl.Series("valid", range(len(frame)), dtype=pl.Int64)
    return ~numbers.is_in(pl.Series(rids, dtype=pl.Int64).implode())


def _tolerated(connection: duckdb.DuckDBPyConnection, rule: Rule, broken: str) -> bool:
    if rule.tolerated == (None, None):
        return False
    counts = one_row(
        connection, f"SELECT count(*) FILTER ({tried(rule.asked)}), count(*) FILTER ({broken}) FROM {_FRAME}"
    )
    count = CheckCount(rule.check_name, rule.severity, rule.effective_action, counts[0], counts[1], (), rule.tolerated)
    return of_count(count).passed


def _losers(connection: duckdb.DuckDBPyConnection, contract: Contract, rule: SetRule, judged: Judged) -> str:
    """SQL for the rows that a rule about rows beside each other takes out, of those that no rule before it does.

    And of the rows that other such rules hold those that this one would hold too, as `gate_sets` has it.
    """
    types = {column.name: column.sql_type for column in contract.columns}
    out = [absent(key, text=types.get(key) == "VARCHAR") for key in contract.keys]
    for other in contract.rules:
        if other.judges == "row" and not isinstance(other, SetRule) and other.effective_action in REMOVES_ROWS:
            other.prepare(connection, _FRAME)
            out.append(tried(other.broken(judged.reads)))
    connection.execute(f"CREATE TABLE {_OUT} AS SELECT _rid FROM {_FRAME} WHERE {' OR '.join(out) or 'FALSE'}")
    order = ", ".join([*(f"{quote(name)} ASC NULLS FIRST" for name in contract.order), "_rid"])
    connection.execute(f"CREATE TABLE {_OF_ROW} AS FROM {_OUT}")
    rows = Rows(f"(SELECT * FROM {_FRAME} ANTI JOIN {_OUT} USING (_rid))", order, contract.keys)
    lost = {}
    for place, other in enumerate(one for one in contract.rules if isinstance(one, SetRule) and one.judges == "row"):
        lost[other.check_name] = (f"lost_{place}", other.effective_action)
        connection.execute(
            f"CREATE TABLE lost_{place} AS {other.losers_on(connection, rows)}; INSERT INTO {_OUT} FROM lost_{place}"
        )
    own = f"SELECT _rid FROM {lost[rule.check_name][0]}"
    if rule.effective_action != "quarantine":
        return own
    held = " UNION ALL ".join(f"SELECT _rid FROM {table}" for table, action in lost.values() if action == "quarantine")
    everyone = replace(rows, batch=f"(SELECT * FROM {_FRAME} ANTI JOIN {_OF_ROW} USING (_rid))")
    return f"{own} UNION SELECT _rid FROM ({rule.losers_on(connection, everyone)}) SEMI JOIN ({held}) USING (_rid)"
