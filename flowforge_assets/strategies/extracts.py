"""Full extracts: which rows of a batch belong to one, in which order they came, and which keys one no longer has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowforge_assets.strategies.merged import listed
from flowforge_assets.transforms.cast import moment_type
from flowforge_assets.transforms.pipeline import LANDED_OF, multiplies
from flowforge_checks.row_ids import ROW_BITS
from flowforge_resources.duck import literal, quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from flowforge_assets.bronze.extract_files import EmptyExtract
    from flowforge_assets.strategies.events import Events
    from flowforge_assets.table_spec import TableSpec

# What one run took in has one moment; its number in the batch tells apart what was made up in one.
_RUN = f"({{landed}} >> {ROW_BITS})::VARCHAR, _ingested_at::VARCHAR"
_EXTRACT = {
    "file": f"[{_RUN}, _source_file]",
    "folder": "[_ingested_at::VARCHAR, regexp_replace(_source_file, '[^/]*$', '')]",
    "run": f"[{_RUN}]",
}


@dataclass(frozen=True)
class Extracted:
    """A full extract: its number in order of arrival, and how many rows of it reached the gate."""

    number: int
    rows: int

    def counts_empty(self, spec: TableSpec) -> bool:
        """Whether it says that there is nothing."""
        return not self.rows and spec.strategy.allow_empty


def number_extracts(
    connection: duckdb.DuckDBPyConnection, spec: TableSpec, empty: Sequence[EmptyExtract] = ()
) -> list[Extracted]:
    """Number the extracts of the batch in order of arrival, those of `empty`, which brought no row, among them.

    Creates the tables `extract` (`extract`, the number, and `taken`, the moment) and `extract_row` (`_rid`, `extract`) of
    all rows at the gate, held ones too. Rows that were filtered or routed away are in an extract and not in that table.
    """
    name = _EXTRACT[spec.strategy.extract].format(landed="_rid")
    behind = ", ".join(f"({one.behind}, TIMESTAMP {literal(one.taken_at.isoformat(' '))})" for one in empty)
    nothing = f" UNION ALL SELECT NULL, behind + 0.5, taken FROM (VALUES {behind}) AS e(behind, taken)" if empty else ""
    connection.execute(
        "CREATE TABLE extract AS WITH found AS "
        f"(SELECT {name} AS name, min(_rid) AS first, max(_ingested_at) AS taken FROM landed GROUP BY 1), "
        f"placed AS (SELECT name, row_number() OVER (ORDER BY first)::DOUBLE AS place, taken FROM found{nothing}) "
        "SELECT row_number() OVER (ORDER BY place) AS extract, name, taken FROM placed"
    )
    of_row = (
        f"SELECT {LANDED_OF} AS _landed, _rid AS _row FROM typed"
        if multiplies(spec)
        else "SELECT _rid AS _landed, _rid AS _row FROM typed"
    )
    connection.execute(
        f"CREATE TABLE extract_row AS SELECT _row AS _rid, extract FROM (SELECT _rid, {name} AS name FROM landed) "
        f"JOIN ({of_row}) ON _rid = _landed JOIN extract USING (name)"
    )
    found = connection.execute(
        "SELECT extract, count(_rid) FROM extract LEFT JOIN extract_row USING (extract) GROUP BY extract ORDER BY extract"
    )
    return [Extracted(*row) for row in found.fetchall()]


def extract_of(spec: TableSpec) -> str:
    """SQL over `typed` for the name of the full extract a row belongs to."""
    landed = LANDED_OF if multiplies(spec) else "_rid"
    return _EXTRACT[spec.strategy.extract].format(landed=landed)


def rows_of(extract: int) -> str:
    """SQL for the rows of an extract, as a list of `_rid`."""
    return f"(SELECT _rid FROM extract_row WHERE extract = {extract})"


def absent_keys(connection: duckdb.DuckDBPyConnection, spec: TableSpec, extract: int, current: str) -> None:
    """Create the table `absent`: keys of the table that the extract does not have, within its scope.

    A row that the gate holds is there all the same: a broken value is no sign that its key is gone. A key with several
    versions is in the scope of its newest one.
    """
    keys, scope = listed(spec.keys), spec.strategy.within
    alive = current
    if spec.strategy.keeps_history and spec.strategy.delete_absent == "invalidate":
        alive = f"(FROM {current} WHERE {quote(spec.strategy.is_current)})"
    elif spec.strategy.keeps_history and scope:
        newest = f"row_number() OVER (PARTITION BY {keys} ORDER BY {quote(spec.strategy.valid_from)} DESC) = 1"
        alive = f"(SELECT {keys}, {quote(scope)} FROM {current} QUALIFY {newest})"
    inside = f"typed WHERE _rid IN {rows_of(extract)}"
    within = f" WHERE {quote(scope)} IN (SELECT {quote(scope)} FROM {inside})" if scope else ""
    connection.execute(
        f"CREATE OR REPLACE TABLE absent AS SELECT DISTINCT {keys} FROM {alive} "
        f"ANTI JOIN (SELECT {keys} FROM {inside}) USING ({keys}){within}"
    )


def date_absences(events: Events, extract: int) -> None:
    """Add to `event` a delete of every key in `absent`, and give each row of a deleted key a moment after the delete.

    A moment must come after all that is known of the key. It is the first of these that does: the row's own sequence,
    that of the key's next row in the extract, the newest sequence of the extract, the moment the extract was taken in,
    the smallest step after what is known. A row that follows one which was given a moment so is compared with that row's
    own sequence, and comes after it too. Rows of one key keep the order of their own sequences among each other.
    """
    keys, spec = events.keys, events.spec
    named = {*spec.keys, spec.surrogate_key}
    columns = ", ".join(f"any_value({quote(name)})" if name in named else "NULL" for name in events.columns)
    rest = "".join("NULL, " for _ in events.order[1:])
    events.run(
        f"INSERT INTO event SELECT -row_number() OVER (), _ff_k, 1, NULL, {rest}1, -1, NULL, {columns}, NULL "
        f"FROM old SEMI JOIN absent USING ({keys}) GROUP BY _ff_k"
    )
    stored = spec.sequence_by and spec.sequence_by[0] in events.values
    own = f"last({quote(spec.sequence_by[0])} ORDER BY {events.position})" if stored else "NULL"
    events.run(
        f"CREATE OR REPLACE TABLE last AS SELECT _ff_k, max(_ff_s0) AS moment, last(_ff_op ORDER BY {events.position}) AS op, "
        f"{own} AS own FROM event WHERE _ff_src = 0 GROUP BY _ff_k"
    )
    _lift(events, extract)


def _lift(events: Events, extract: int) -> None:
    """Move the events of the extract that must come after what is known of their key (`last`) and do not."""
    kind, order = moment_type(events.spec), "".join(f"{name}, " for name in events.order)
    follows = "(op = 0 AND own < moment AND _ff_s0 >= own)"
    moved = f"(op = 1 OR _rid IS NULL OR {follows})" if events.spec.sequence_by else "TRUE"
    # What is said again of the row that came back stands where that one does.
    again = f"coalesce({follows} AND _ff_s0 = own AND NOT bool_or(_ff_op = 1) OVER (PARTITION BY _ff_k, _ff_s0), FALSE)"
    lifted = f"coalesce({moved}, FALSE) AND NOT {again} AND NOT coalesce(_ff_s0 > moment, FALSE)"
    events.run(
        "CREATE OR REPLACE TABLE dated AS SELECT *, coalesce(next IS NULL AND place = max(place) FILTER (lifted) OVER (PARTITION BY _ff_k), FALSE) AS stands "
        f"FROM (SELECT _ff_id, _ff_k, moment, row_number() OVER (PARTITION BY _ff_k ORDER BY {events.position}) AS place, "
        f"min(_ff_s0) FILTER (_ff_s0 > moment) OVER (PARTITION BY _ff_k) AS next, {again} AS again, {lifted} AS lifted "
        f"FROM (SELECT _ff_id, _ff_k, _ff_op, {order}_ff_src, _ff_ord, _rid FROM event WHERE _ff_src = 1) JOIN last USING (_ff_k))"
    )
    taken = f"(SELECT taken FROM extract WHERE extract = {extract})"
    candidates = ["(SELECT max(_ff_s0) FROM incoming)", *([f"{taken}::{kind}"] if kind != "BIGINT" else [])]
    chosen = " ".join(f"WHEN {one} > d.moment THEN {one}" for one in candidates)
    step = "1" if kind in ("BIGINT", "DATE") else "to_microseconds(1)"
    # Of several that are moved to one moment the last by its own sequence stands, whatever the other columns say.
    rest = "".join(
        f", {name} = CASE WHEN d.lifted AND NOT d.stands THEN NULL ELSE {name} END" for name in events.order[1:]
    )
    events.run(
        f"UPDATE event SET _ff_ord = d.place{rest}, _ff_s0 = CASE WHEN d.again THEN d.moment WHEN NOT d.lifted THEN _ff_s0 "
        f"WHEN d.next IS NOT NULL THEN d.next {chosen} ELSE d.moment + {step} END FROM dated d WHERE event._ff_id = d._ff_id"
    )
