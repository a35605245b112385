"""One row a key (SCD type 1) from events: the newest values since the key was last deleted, or no row.

Deletes and the newest truncate are remembered by their sequence, so that what is older stays gone and what is newer
comes back. A column whose nulls are ignored has the newest value that is not null since then.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from flowforge_assets.strategies.merged import count, differs, listed
from flowforge_resources.duck import one_row, quote

if TYPE_CHECKING:
    from flowforge_assets.strategies.events import Events

# The clearing of the whole table, as an event of every key, comes before what was known with the same sequence.
_TRUNCATES_FIRST = -1


def rows_from_events(events: Events) -> Counter[str]:
    """Create `rendered` (`_k` and a row) and `kept` (events to remember); return the account of the step."""
    _rank(events)
    _render(events)
    _keep(events)
    return _account(events)


def truncates(events: Events) -> None:
    """Create `truncate`: the newest clearing of the table known or incoming, or no row."""
    shape = "".join(f"{name}, " for name in events.order)
    events.run(
        f"CREATE OR REPLACE TABLE truncate AS SELECT {shape}_src, _ord FROM "
        f"(SELECT {shape}0 AS _src, {_TRUNCATES_FIRST}::BIGINT AS _ord FROM {events.state} WHERE _op = 2 "
        f"UNION ALL SELECT {shape}1, _rid FROM incoming WHERE _op = 2) "
        f"QUALIFY row_number() OVER (ORDER BY {events.position}) = count(*) OVER ()"
    )


def _rank(events: Events) -> None:
    """`ranked`: every event that counts in its place `_n`; `key`: what becomes of each key."""
    shape = "".join(f"{name}, " for name in events.order)
    source = (
        f"SELECT _id, _k, _op, {shape}_src, _ord, _rid, _said FROM placed WHERE NOT repeats "
        f"UNION ALL SELECT NULL, _k, 2, {shape}_src, _ord, NULL, NULL FROM touched CROSS JOIN truncate"
    )
    events.run(
        f"CREATE OR REPLACE TABLE ranked AS SELECT _id, _k, _op, _src, _rid, _said, "
        f"row_number() OVER (PARTITION BY _k ORDER BY {events.position}) AS _n FROM ({source})"
    )
    events.run(
        "CREATE OR REPLACE TABLE key AS SELECT _k, max(_n) AS last, coalesce(max(_n) FILTER (_op > 0), 0) AS dead, "
        "max(_n) FILTER (_rid IS NOT NULL) AS arrived FROM ranked GROUP BY _k"
    )


def _render(events: Events) -> None:
    """`alive`: events since the last delete; `rendered`: the row of each key that has any."""
    events.run(
        "CREATE OR REPLACE TABLE alive AS SELECT _id, _k, _n, _n = last AS newest FROM ranked JOIN key USING (_k) WHERE _n > dead"
    )
    if not events.ignored:
        events.run(
            f"CREATE OR REPLACE TABLE rendered AS SELECT _k, {listed(events.columns)} FROM event SEMI JOIN (FROM alive WHERE newest) USING (_id)"
        )
        events.run("CREATE OR REPLACE TABLE giver AS SELECT _id FROM alive WHERE newest")
        return
    values = ", ".join(
        f"arg_max({quote(name)}, _n) AS {quote(name)}, arg_max(_id, _n) FILTER ({quote(name)} IS NOT NULL) AS {quote(f'_from_{name}')}"
        for name in events.ignored
    )
    events.run(
        f"CREATE OR REPLACE TABLE filled AS SELECT a._k, {values}, arg_max(_id, _n) AS _from FROM event JOIN alive a USING (_id) GROUP BY a._k"
    )
    columns = ", ".join(f"{'f' if name in events.ignored else 'e'}.{quote(name)}" for name in events.columns)
    events.run(
        f"CREATE OR REPLACE TABLE rendered AS SELECT e._k, {columns} FROM event e JOIN filled f ON e._id = f._from"
    )
    sources = ["_from", *(quote(f"_from_{name}") for name in events.ignored)]
    each = " UNION ".join(f"SELECT {source} AS _id FROM filled WHERE {source} IS NOT NULL" for source in sources)
    events.run(f"CREATE OR REPLACE TABLE giver AS {each}")


def _keep(events: Events) -> None:
    """`kept`: the events of every key that its row in the table does not tell.

    Of a key without a row: its delete. Of one with a row: what gave the row's values, and, where an older value could
    still come up, the delete before them.
    """
    if not events.spec.remembers:
        events.run("CREATE OR REPLACE TABLE kept AS SELECT _id, 0::BIGINT AS _n FROM event WHERE FALSE")
        return
    buried = "SELECT r._id, r._n FROM ranked r JOIN key k ON r._k = k._k AND r._n = k.dead WHERE r._op = 1"
    gone = f"{buried} AND k.dead = k.last"
    givers = "SELECT _id, _n FROM ranked SEMI JOIN giver USING (_id)"
    if not events.readable:
        before = f" UNION ALL {buried} AND k.dead < k.last" if events.ignored else ""
        events.run(f"CREATE OR REPLACE TABLE kept AS {gone} UNION ALL {givers}{before}")
    elif not events.ignored:
        events.run(f"CREATE OR REPLACE TABLE kept AS {gone}")
    else:
        mixed = "SELECT _k FROM alive SEMI JOIN giver USING (_id) GROUP BY _k HAVING count(*) > 1"
        deleted = f"SELECT r._k FROM ranked r JOIN ({buried}) b USING (_id)"
        events.run(
            f"CREATE OR REPLACE TABLE kept AS WITH complex AS ({mixed} UNION {deleted}) "
            f"SELECT _id, _n FROM ranked SEMI JOIN complex USING (_k) WHERE _id IN (SELECT _id FROM giver) "
            f"UNION ALL SELECT _id, _n FROM ({buried})"
        )


def _account(events: Events) -> Counter[str]:
    """What became of every row of the batch, and of rows of the table beside them."""
    changed = differs(events.values, "r", "o")
    fate = f"CASE WHEN o._k IS NULL THEN 'inserted' WHEN {changed} THEN 'updated' ELSE 'unchanged' END"
    events.run(
        f"CREATE OR REPLACE TABLE outcome AS SELECT k._k, o._k IS NOT NULL AS was, r._k IS NOT NULL AS lives, {fate} AS fate "
        "FROM key k LEFT JOIN old o USING (_k) LEFT JOIN rendered r USING (_k)"
    )
    gives = "_id IN (FROM giver)" if events.ignored else "FALSE"
    said = events.connection.execute(
        f"SELECT CASE WHEN _n < arrived AND {gives} THEN 'updated' "
        "WHEN _n < arrived AND _op = last_op AND _said IS NOT DISTINCT FROM last_said THEN 'exact' WHEN _n < arrived THEN 'conflicting' "
        f"WHEN _op = 0 AND _n = last THEN fate WHEN _op = 0 AND {gives} THEN 'updated' "
        "WHEN _n = last AND was THEN 'deleted' WHEN _n = last THEN 'unchanged' ELSE 'late' END AS what, count(*) "
        "FROM (SELECT _id, _k, _op, _n, _said, last_value(_op) OVER w AS last_op, last_value(_said) OVER w AS last_said "
        "FROM ranked WHERE _rid IS NOT NULL WINDOW w AS (PARTITION BY _k ORDER BY _n ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)) "
        "JOIN key USING (_k) JOIN outcome USING (_k) GROUP BY what"
    ).fetchall()
    account = Counter({what: int(rows) for what, rows in said})
    repeated = one_row(
        events.connection,
        "SELECT count(*) FILTER (known), count(*) FILTER (NOT known) FROM placed WHERE repeats AND _rid IS NOT NULL",
    )
    account.update(unchanged=int(repeated[0]), exact=int(repeated[1]))
    account["rows_removed"] = (
        int(one_row(events.connection, "SELECT count(*) FROM outcome WHERE was AND NOT lives")[0]) - account["deleted"]
    )
    account["truncates"] = count(events.connection, "(FROM incoming WHERE _op = 2)")
    account["dirty"] = int(
        one_row(
            events.connection,
            f"SELECT count(*) FROM rendered r FULL JOIN old o USING (_k) WHERE r._k IS NULL OR o._k IS NULL OR {differs(events.columns, 'r', 'o')}",
        )[0]
    )
    return account
