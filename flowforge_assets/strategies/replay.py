"""Strategies that look at all that was said of a key: upsert with deletes, truncates or ignored nulls, and scd2.

Rows that are the only word on their key go straight to the table; the history of every other touched key is put
together, ordered and read anew (`events`). Full extracts of which absence counts are taken one after another.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flowforge_assets.strategies.dedupe import drop_held
from flowforge_assets.strategies.events import Events, listed_after
from flowforge_assets.strategies.extracts import absent_keys, date_absences, number_extracts, rows_of
from flowforge_assets.strategies.merged import Merge, count, listed
from flowforge_assets.strategies.rows import rows_from_events, truncates
from flowforge_assets.strategies.versions import as_version, versions_from_events
from flowforge_resources.duck import one_row

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from flowforge_assets.bronze.extract_files import EmptyExtract
    from flowforge_assets.table_spec import TableSpec
    from flowforge_checks.books import Books
    from flowforge_checks.gate import Gate

_PASSING = "(SELECT _rid FROM verdict ANTI JOIN loser USING (_rid))"


@dataclass(frozen=True)
class Step:
    """The table and the memory after some rows, as queries, and the account of these rows."""

    table: str
    state: str
    account: Counter[str]


def replay(
    connection: duckdb.DuckDBPyConnection,
    spec: TableSpec,
    gate: Gate,
    table: str | None,
    state: str | None,
    *,
    empty: Sequence[EmptyExtract] = (),
) -> Merge:
    """Decide what becomes of every row of the batch."""
    books = drop_held(connection, gate)
    events = Events(connection, spec, table, state)
    books = replace(books, rows_before=count(connection, events.table))
    if spec.strategy.delete_absent == "ignore":
        step = _step(events, *_hard_and_easy(events))
        return _merge(events, books, step)
    total: Counter[str] = Counter()
    step = Step(f"SELECT {listed(events.table_columns)} FROM {events.table}", f"FROM {events.state}", total)
    extracts = number_extracts(connection, spec, empty)
    for extract in [one.number for one in extracts if one.rows or one.counts_empty(spec)]:
        if total:
            _advance(events, step, extract)
        absent_keys(connection, spec, extract, events.table)
        step = _step(events, f"(SELECT _rid FROM {rows_of(extract)} SEMI JOIN {_PASSING} USING (_rid))", "", extract)
        total.update(step.account)
        total["steps"] += 1
    merged = _merge(events, books, replace(step, account=total))
    ends_empty = not spec.strategy.within and bool(extracts) and extracts[-1].rows == 0
    return replace(merged, ends_empty=ends_empty)


def _hard_and_easy(events: Events) -> tuple[str, str]:
    """Which rows need their key's history, and the query for those that are a new key's only word."""
    spec = events.spec
    if not events.is_new or not events.readable or _clears(events):
        return _PASSING, ""
    marked = (
        f" UNION SELECT _rid FROM typed WHERE _ff_op > 0 AND _rid IN {_PASSING}"
        if spec.strategy.marks_operations
        else ""
    )
    events.run(
        "CREATE TABLE hard AS WITH passing AS (SELECT _rid, _h FROM verdict ANTI JOIN loser USING (_rid)) "
        f"SELECT _rid FROM passing WHERE _h IN (SELECT _h FROM passing GROUP BY _h HAVING count(*) > 1){marked}"
    )
    rows = "typed ANTI JOIN loser USING (_rid) ANTI JOIN hard USING (_rid)"
    if not spec.strategy.keeps_history:
        return "(FROM hard)", f"SELECT {listed(events.table_columns)} FROM {rows}"
    start = events.sequence()[0]
    dated = f"(SELECT *, {start} AS _ff_start, CASE WHEN FALSE THEN {start} END AS _ff_end FROM {rows})"
    return "(FROM hard)", f"SELECT {as_version(spec, '_ff_start', '_ff_end')} FROM {dated}"


def _clears(events: Events) -> bool:
    """Whether a row of the batch clears the table."""
    if not events.spec.strategy.truncate_when:
        return False
    return count(events.connection, f"(SELECT 1 FROM typed WHERE _ff_op = 2 AND _rid IN {_PASSING})") > 0


def _step(events: Events, rids: str, easy: str, extract: int | None = None) -> Step:
    """Take some rows of the batch in."""
    events.take(rids)
    absence = events.spec.strategy.delete_absent if extract is not None else "ignore"
    sources = ["(FROM incoming WHERE _ff_op < 2)"]
    if events.spec.strategy.truncate_when:
        truncates(events)
        if count(events.connection, "(FROM truncate WHERE _ff_src = 1)"):
            sources += [events.table, f"(FROM {events.state} WHERE _ff_op < 2)"]
    else:
        events.run(
            f"CREATE OR REPLACE TABLE truncate AS SELECT {listed_after(events.order)}0 AS _ff_src, 0::BIGINT AS _ff_ord FROM no_events"
        )
    sources += ["absent"] if absence == "invalidate" else []
    events.touch(sources)
    order, columns = listed_after(events.order), listed(events.columns)
    batch = f"SELECT _ff_k, _ff_op, {order}_rid, {columns} FROM incoming JOIN touched USING ({events.keys}) WHERE _ff_op < 2"
    events.gather(batch)
    if extract is not None and events.spec.strategy.keeps_history:
        date_absences(events, extract)
    events.place()
    account = versions_from_events(events) if events.spec.strategy.keeps_history else rows_from_events(events)
    erased = absence == "delete"
    if erased:
        account["rows_removed"] += count(events.connection, f"{events.table} SEMI JOIN absent USING ({events.keys})")
    if easy:
        account["inserted"] += count(
            events.connection, "verdict ANTI JOIN loser USING (_rid) ANTI JOIN hard USING (_rid)"
        )
    account["remembered"] = _new_memories(events)
    rendered = f"SELECT {listed(events.table_columns)} FROM rendered" + (f" UNION ALL {easy}" if easy else "")
    return Step(_next_table(events, rendered, erased=erased), _next_state(events, erased=erased), account)


def _next_table(events: Events, rendered: str, *, erased: bool) -> str:
    gone = f" ANTI JOIN absent USING ({events.keys})" if erased else ""
    rest = f"SELECT {listed(events.table_columns)} FROM {events.table} ANTI JOIN touched USING ({events.keys}){gone}"
    return rendered if events.table == "no_rows" else f"{rest} UNION ALL {rendered}"


def _next_state(events: Events, *, erased: bool) -> str:
    shape = f"_ff_op, _ff_ord, {listed_after(events.order)}{listed(events.columns)}"
    gone = f" ANTI JOIN absent USING ({events.keys})" if erased else ""
    nothing = ", ".join("NULL" for _ in events.columns)
    return (
        f"SELECT {shape} FROM {events.state} ANTI JOIN touched USING ({events.keys}){gone} WHERE _ff_op < 2 "
        f"UNION ALL SELECT _ff_op, _ff_n, {listed_after(events.order)}{listed(events.columns)} FROM event JOIN kept USING (_ff_id) "
        f"UNION ALL SELECT 2, 0, {listed_after(events.order)}{nothing} FROM truncate"
    )


def _new_memories(events: Events) -> int:
    """How much of what is remembered changes."""
    new, kept = one_row(
        events.connection, "SELECT count(*) FILTER (_ff_src = 1), count(*) FROM event JOIN kept USING (_ff_id)"
    )
    before = count(events.connection, f"{events.state} SEMI JOIN touched USING ({events.keys})")
    cleared = count(events.connection, "(FROM truncate WHERE _ff_src = 1)")
    return int(new) + abs(int(kept) - before) + cleared


def _advance(events: Events, step: Step, number: int) -> None:
    """Make the outcome of a step what the next one begins with."""
    events.run(f"CREATE TABLE table_{number} AS {step.table}")
    events.run(f"CREATE TABLE state_{number} AS {step.state}")
    events.table, events.state = f"table_{number}", f"state_{number}"


def _merge(events: Events, books: Books, step: Step) -> Merge:
    account = step.account
    exact, conflicting = account["exact"], account["conflicting"]
    books = replace(
        books,
        deduplicated=exact + conflicting,
        duplicates_exact=exact,
        duplicates_conflicting=conflicting,
        **{name: account[name] for name in _COUNTED},
    )
    changed = events.is_new or account["dirty"] + account["remembered"] + account["rows_removed"] > 0
    return Merge(step.table, books, changed, step.state if events.spec.remembers else None)


_COUNTED = ("inserted", "updated", "unchanged", "late", "deleted", "closed", "truncates", "rows_split", "rows_removed")
