"""One row a version (SCD type 2) from events.

A version begins at an event whose tracked values differ from those before it, or that follows a delete; it ends where
the next one begins or where the key is deleted. Later events of the same tracked values extend it and update its other
columns in place. Of several events of one moment the last stands; a moment is the first column of `sequence_by`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowforge_assets.strategies.fates import note_fates
from flowforge_assets.strategies.merged import content, count, differs, listed
from flowforge_assets.transforms.cast import surrogate_key, table_columns
from flowforge_resources.duck import one_row, quote

if TYPE_CHECKING:
    from collections import Counter

    from flowforge_assets.strategies.events import Events
    from flowforge_assets.table_spec import TableSpec


def versions_from_events(events: Events) -> Counter[str]:
    """Create `rendered` (`_ff_k` and a version) and `kept` (events to remember); return the account of the step."""
    _fill(events)
    _mark(events)
    _render(events)
    _keep(events)
    return _account(events)


def tracked(spec: TableSpec) -> list[str]:
    """The stored columns whose change opens a version."""
    if spec.strategy.tracked is not None:
        return list(spec.strategy.tracked)
    return [one.name for one in spec.stored_columns if one.name not in (*spec.keys, *spec.sequence_by)]


def as_version(spec: TableSpec, start: str, end: str) -> str:
    """Select list for the columns of a version, in the table's order, from a row with its interval."""
    strategy = spec.strategy
    made = {
        strategy.version_key: surrogate_key([*spec.keys, start]),
        strategy.valid_from: quote(start),
        strategy.valid_to: end,
        strategy.is_current: f"{end} IS NULL",
    }
    return ", ".join(f"{made.get(name, quote(name))} AS {quote(name)}" for name in table_columns(spec))


def _fill(events: Events) -> None:
    """`meant`: the values an event leaves its key with, ignored nulls filled; narrow unless there are any."""
    if not events.ignored:
        events.run(
            f"CREATE OR REPLACE TABLE meant AS SELECT _ff_id, _ff_said AS meant, CASE WHEN _ff_op = 0 THEN {content(tracked(events.spec))} END AS tracked FROM event"
        )
        return
    filled = ", ".join(
        f"last_value(CASE WHEN _ff_op = 0 THEN {quote(name)} END IGNORE NULLS) OVER (PARTITION BY _ff_k, _ff_life ORDER BY {events.position}) AS {quote(name)}"
        for name in events.ignored
    )
    life = (
        f"sum(CASE WHEN _ff_op = 1 THEN 1 ELSE 0 END) OVER (PARTITION BY _ff_k ORDER BY {events.position}) AS _ff_life"
    )
    rest = listed(name for name in events.values if name not in events.ignored)
    events.run(
        f"CREATE OR REPLACE TABLE filled AS SELECT _ff_id, _ff_op, {rest}, {filled} FROM (SELECT *, {life} FROM event)"
    )
    events.run(
        f"CREATE OR REPLACE TABLE meant AS SELECT _ff_id, CASE WHEN _ff_op = 0 THEN {content(events.values)} END AS meant, "
        f"CASE WHEN _ff_op = 0 THEN {content(tracked(events.spec))} END AS tracked FROM filled"
    )


def _mark(events: Events) -> None:
    """`moment`: the event that stands at each moment of a key, whether it begins a version, and the version's number."""
    events.run(
        "CREATE OR REPLACE TABLE standing AS SELECT _ff_id, _ff_k, _ff_op, _ff_s0, _ff_src, _ff_said, meant, tracked FROM placed JOIN meant USING (_ff_id) "
        f"WHERE NOT repeats QUALIFY row_number() OVER (PARTITION BY _ff_k, _ff_s0 ORDER BY {_backwards(events)}) = 1"
    )
    events.run(
        "CREATE OR REPLACE TABLE moment AS SELECT *, sum(begins::INTEGER) OVER (PARTITION BY _ff_k ORDER BY _ff_s0) AS version FROM ("
        "SELECT _ff_id, _ff_k, _ff_op, _ff_s0, lead(_ff_s0) OVER one AS next, lag(_ff_op) OVER one AS before, "
        "_ff_op = 0 AND (lag(_ff_op) OVER one IS DISTINCT FROM 0 OR lag(tracked) OVER one IS DISTINCT FROM tracked) AS begins, "
        "lag(meant) OVER one IS DISTINCT FROM meant AS news FROM standing WINDOW one AS (PARTITION BY _ff_k ORDER BY _ff_s0))"
    )


def _backwards(events: Events) -> str:
    """SQL for the order of events, the last one first."""
    return ", ".join([*(f"{name} DESC NULLS LAST" for name in events.order), "_ff_src DESC", "_ff_ord DESC"])


def _render(events: Events) -> None:
    """`span`: each version's interval, first event and the event that gives its values; `rendered`: its row."""
    events.run(
        "CREATE OR REPLACE TABLE span AS SELECT _ff_k, _ff_s0 AS _ff_start, _ff_id AS first, giver, _ff_end FROM moment JOIN ("
        "SELECT _ff_k, version, arg_max(_ff_id, _ff_s0) FILTER (begins OR news) AS giver, "
        "CASE WHEN bool_and(next IS NOT NULL) THEN max(next) END AS _ff_end "
        "FROM moment WHERE _ff_op = 0 GROUP BY _ff_k, version) USING (_ff_k, version) WHERE begins"
    )
    source = (
        f"event e JOIN span s ON e._ff_id = s.giver{' JOIN filled f ON f._ff_id = e._ff_id' if events.ignored else ''}"
    )
    columns = ", ".join(f"{'f' if name in events.ignored else 'e'}.{quote(name)}" for name in events.columns)
    events.run(
        f"CREATE OR REPLACE TABLE rendered AS SELECT _ff_k, {as_version(events.spec, '_ff_start', '_ff_end')} FROM "
        f"(SELECT e._ff_k, s._ff_start, s._ff_end, {columns} FROM {source})"
    )


def _keep(events: Events) -> None:
    """`kept`: all events of the keys whose rows do not tell them; with ignored nulls also those of no moment."""
    if not events.spec.remembers:
        events.run("CREATE OR REPLACE TABLE kept AS SELECT _ff_id, 0::BIGINT AS _ff_n FROM event WHERE FALSE")
        return
    told = "(_ff_op = 1 AND before IS NOT DISTINCT FROM 0)" if len(events.order) == 1 else "FALSE"
    whole = (
        f"SELECT _ff_k FROM moment GROUP BY _ff_k HAVING bool_and(begins OR {told})"
        if events.readable
        else "SELECT 0::BIGINT AS _ff_k WHERE FALSE"
    )
    source = "(FROM placed WHERE NOT repeats)" if events.ignored else "(FROM placed SEMI JOIN moment USING (_ff_id))"
    changed = (
        "SELECT _ff_k FROM event e JOIN meant USING (_ff_id) WHERE e._ff_op = 0 AND e._ff_said IS DISTINCT FROM meant"
    )
    hidden = "SELECT _ff_k FROM placed ANTI JOIN moment USING (_ff_id) WHERE NOT repeats"
    plain = f"({whole}) EXCEPT ({changed}) EXCEPT ({hidden})" if events.ignored else whole
    events.run(
        f"CREATE OR REPLACE TABLE kept AS SELECT _ff_id, row_number() OVER (PARTITION BY _ff_k ORDER BY {events.position}) AS _ff_n "
        f"FROM {source} ANTI JOIN ({plain}) p USING (_ff_k)"
    )


def _account(events: Events) -> Counter[str]:
    """What became of every row of the batch, and of versions beside them."""
    start = quote(events.spec.strategy.valid_from)
    events.run(
        f"CREATE OR REPLACE TABLE beginning AS SELECT coalesce(s._ff_k, o._ff_k) AS _ff_k, coalesce(s._ff_start, o.{start}) AS _ff_s0, "
        f"o._ff_k IS NOT NULL AS was, s._ff_k IS NOT NULL AS now FROM span s FULL JOIN old o ON s._ff_k = o._ff_k AND s._ff_start = o.{start}"
    )
    account = note_fates(
        events.connection,
        "SELECT p._rid, CASE WHEN p.repeats AND p.known THEN 'unchanged' WHEN p.repeats THEN 'exact' "
        "WHEN m._ff_id IS NULL AND w._ff_src = 0 THEN 'late' WHEN m._ff_id IS NULL AND p._ff_said = w._ff_said THEN 'exact' "
        "WHEN m._ff_id IS NULL THEN 'conflicting' "
        "WHEN m.begins AND NOT b.was THEN 'inserted' WHEN m.begins OR g.giver IS NOT NULL THEN 'updated' "
        "WHEN m._ff_op = 1 AND m.before = 0 THEN 'closed' ELSE 'unchanged' END AS what "
        "FROM placed p LEFT JOIN moment m USING (_ff_id) JOIN standing w ON w._ff_k = p._ff_k AND w._ff_s0 = p._ff_s0 "
        "LEFT JOIN beginning b ON b._ff_k = p._ff_k AND b._ff_s0 = p._ff_s0 LEFT JOIN span g ON g.giver = p._ff_id "
        "WHERE p._rid IS NOT NULL",
    )
    came, went = one_row(
        events.connection, "SELECT count(*) FILTER (now AND NOT was), count(*) FILTER (was AND NOT now) FROM beginning"
    )
    account["rows_split"] = int(came) - account["inserted"]
    account["rows_removed"] = int(went)
    changed = differs([name for name in events.table_columns if name not in events.spec.keys], "r", "o")
    account["dirty"] = count(
        events.connection,
        f"(SELECT 1 FROM rendered r FULL JOIN old o ON r._ff_k = o._ff_k AND r.{start} = o.{start} WHERE r._ff_k IS NULL OR o._ff_k IS NULL OR {changed})",
    )
    return account
