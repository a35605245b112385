"""One row a key (SCD type 1) from events: the newest values since the key was last deleted, or no row.

Deletes and the newest truncate are remembered by their sequence, so that what is older stays gone and what is newer
comes back. A column whose nulls are ignored has the newest value that is not null since then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowforge_assets.strategies.fates import note_fates
from flowforge_assets.strategies.merged import differs, listed
from flowforge_resources.duck import one_row, quote

if TYPE_CHECKING:
    from collections import Counter

    from flowforge_assets.strategies.events import Events

# The clearing of the whole table, as an event of every key, comes before what was known with the same sequence.
_TRUNCATES_FIRST = -1


def rows_from_events(events: Events) -> Counter[str]:
    """Create `rendered` (`_ff_k` and a row) and `kept` (events to remember); return the account of the step."""
    _rank(events)
    _render(events)
    _keep(events)
    return _account(events)


def truncates(events: Events) -> None:
    """Create `truncate`: the newest clearing of the table known or incoming, or no row."""
    shape = "".join(f"{name}, " for name in events.order)
    events.run(
        f"CREATE OR REPLACE TABLE truncate AS SELECT {shape}_ff_src, _ff_ord FROM "
        f"(SELECT {shape}0 AS _ff_src, {_TRUNCATES_FIRST}::BIGINT AS _ff_ord FROM {events.state} WHERE _ff_op = 2 "
        f"UNION ALL SELECT {shape}1, _rid FROM incoming WHERE _ff_op = 2) "
        f"QUALIFY row_number() OVER (ORDER BY {events.position}) = count(*) OVER ()"
    )


def _rank(events: Events) -> None:
    """`ranked`: every event that counts in its place `_ff_n`; `key`: what becomes of each key."""
    shape = "".join(f"{name}, " for name in events.order)
    source = (
        f"SELECT _ff_id, _ff_k, _ff_op, {shape}_ff_src, _ff_ord, _rid, _ff_said FROM placed WHERE NOT repeats "
        f"UNION ALL SELECT NULL, _ff_k, 2, {shape}_ff_src, _ff_ord, NULL, NULL FROM touched CROSS JOIN truncate"
    )
    events.run(
        f"CREATE OR REPLACE TABLE ranked AS SELECT _ff_id, _ff_k, _ff_op, _ff_src, _rid, _ff_said, "
        f"row_number() OVER (PARTITION BY _ff_k ORDER BY {events.position}) AS _ff_n FROM ({source})"
    )
    events.run(
        "CREATE OR REPLACE TABLE key AS SELECT _ff_k, max(_ff_n) AS last, coalesce(max(_ff_n) FILTER (_ff_op > 0), 0) AS dead, "
        "max(_ff_n) FILTER (_rid IS NOT NULL) AS arrived FROM ranked GROUP BY _ff_k"
    )


def _render(events: Events) -> None:
    """`alive`: events since the last delete; `rendered`: the row of each key that has any."""
    events.run(
        "CREATE OR REPLACE TABLE alive AS SELECT _ff_id, _ff_k, _ff_n, _ff_n = last AS newest FROM ranked JOIN key USING (_ff_k) WHERE _ff_n > dead"
    )
    if not events.ignored:
        events.run(
            f"CREATE OR REPLACE TABLE rendered AS SELECT _ff_k, {listed(events.columns)} FROM event SEMI JOIN (FROM alive WHERE newest) USING (_ff_id)"
        )
        events.run("CREATE OR REPLACE TABLE giver AS SELECT _ff_id FROM alive WHERE newest")
        return
    values = ", ".join(
        f"arg_max({quote(name)}, _ff_n) AS {quote(name)}, arg_max(_ff_id, _ff_n) FILTER ({quote(name)} IS NOT NULL) AS {quote(f'_from_{name}')}"
        for name in events.ignored
    )
    events.run(
        f"CREATE OR REPLACE TABLE filled AS SELECT a._ff_k, {values}, arg_max(_ff_id, _ff_n) AS _ff_from FROM event JOIN alive a USING (_ff_id) GROUP BY a._ff_k"
    )
    columns = ", ".join(f"{'f' if name in events.ignored else 'e'}.{quote(name)}" for name in events.columns)
    events.run(
        f"CREATE OR REPLACE TABLE rendered AS SELECT e._ff_k, {columns} FROM event e JOIN filled f ON e._ff_id = f._ff_from"
    )
    sources = ["_ff_from", *(quote(f"_from_{name}") for name in events.ignored)]
    each = " UNION ".join(f"SELECT {source} AS _ff_id FROM filled WHERE {source} IS NOT NULL" for source in sources)
    events.run(f"CREATE OR REPLACE TABLE giver AS {each}")


def _keep(events: Events) -> None:
    """`kept`: the events of every key that its row in the table does not tell.

    Of a key without a row: its delete. Of one with a row: what gave the row's values, and, where an older value could
    still come up, the delete before them.
    """
    if not events.spec.remembers:
        events.run("CREATE OR REPLACE TABLE kept AS SELECT _ff_id, 0::BIGINT AS _ff_n FROM event WHERE FALSE")
        return
    buried = (
        "SELECT r._ff_id, r._ff_n FROM ranked r JOIN key k ON r._ff_k = k._ff_k AND r._ff_n = k.dead WHERE r._ff_op = 1"
    )
    gone = f"{buried} AND k.dead = k.last"
    givers = "SELECT _ff_id, _ff_n FROM ranked SEMI JOIN giver USING (_ff_id)"
    if not events.readable:
        before = f" UNION ALL {buried} AND k.dead < k.last" if events.ignored else ""
        events.run(f"CREATE OR REPLACE TABLE kept AS {gone} UNION ALL {givers}{before}")
    elif not events.ignored:
        events.run(f"CREATE OR REPLACE TABLE kept AS {gone}")
    else:
        mixed = "SELECT _ff_k FROM alive SEMI JOIN giver USING (_ff_id) GROUP BY _ff_k HAVING count(*) > 1"
        deleted = f"SELECT r._ff_k FROM ranked r JOIN ({buried}) b USING (_ff_id)"
        events.run(
            f"CREATE OR REPLACE TABLE kept AS WITH complex AS ({mixed} UNION {deleted}) "
            f"SELECT _ff_id, _ff_n FROM ranked SEMI JOIN complex USING (_ff_k) WHERE _ff_id IN (SELECT _ff_id FROM giver) "
            f"UNION ALL SELECT _ff_id, _ff_n FROM ({buried})"
        )


def _account(events: Events) -> Counter[str]:
    """What became of every row of the batch, and of rows of the table beside them."""
    changed = differs(events.values, "r", "o")
    fate = f"CASE WHEN o._ff_k IS NULL THEN 'inserted' WHEN {changed} THEN 'updated' ELSE 'unchanged' END"
    events.run(
        f"CREATE OR REPLACE TABLE outcome AS SELECT k._ff_k, o._ff_k IS NOT NULL AS was, r._ff_k IS NOT NULL AS lives, {fate} AS fate "
        "FROM key k LEFT JOIN old o USING (_ff_k) LEFT JOIN rendered r USING (_ff_k)"
    )
    gives = "_ff_id IN (FROM giver)" if events.ignored else "FALSE"
    account = note_fates(
        events.connection,
        f"SELECT _rid, CASE WHEN _ff_n < arrived AND {gives} THEN 'updated' "
        "WHEN _ff_n < arrived AND _ff_op = last_op AND _ff_said IS NOT DISTINCT FROM last_said THEN 'exact' WHEN _ff_n < arrived THEN 'conflicting' "
        f"WHEN _ff_op = 0 AND _ff_n = last THEN fate WHEN _ff_op = 0 AND {gives} THEN 'updated' "
        "WHEN _ff_n = last AND was THEN 'deleted' WHEN _ff_n = last THEN 'unchanged' ELSE 'late' END AS what "
        "FROM (SELECT _rid, _ff_id, _ff_k, _ff_op, _ff_n, _ff_said, last_value(_ff_op) OVER w AS last_op, last_value(_ff_said) OVER w AS last_said "
        "FROM ranked WHERE _rid IS NOT NULL WINDOW w AS (PARTITION BY _ff_k ORDER BY _ff_n ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)) "
        "JOIN key USING (_ff_k) JOIN outcome USING (_ff_k) UNION ALL "
        "SELECT _rid, CASE WHEN known THEN 'unchanged' ELSE 'exact' END FROM placed WHERE repeats AND _rid IS NOT NULL "
        "UNION ALL SELECT _rid, 'truncates' FROM incoming WHERE _ff_op = 2",
    )
    account["rows_removed"] = (
        int(one_row(events.connection, "SELECT count(*) FROM outcome WHERE was AND NOT lives")[0]) - account["deleted"]
    )
    account["dirty"] = int(
        one_row(
            events.connection,
            f"SELECT count(*) FROM rendered r FULL JOIN old o USING (_ff_k) WHERE r._ff_k IS NULL OR o._ff_k IS NULL OR {differs(events.columns, 'r', 'o')}",
        )[0]
    )
    return account
