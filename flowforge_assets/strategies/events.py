"""What was said of the keys a batch touches: events of the batch, of the published table and of what is remembered.

The published table and the remembered events (`state`) together are the history of every key, as far as it can still
matter: a key is either remembered, with all its events, or can be read back from its rows in the table. So a key's next
content is a function of its events in their order, whatever the batches were.

Tables made here (temporary, of the touched keys alone):
- `incoming`: rows of the batch that need more than being added; `_ff_op` 0 values, 1 delete, 2 truncate.
- `touched`: their keys, numbered `_ff_k`.
- `old`: the published rows of these keys.
- `event`: `_ff_id`, `_ff_k`, `_ff_op`, order columns `_ff_s0`…, `_ff_src` (0 known before, 1 of the batch), `_ff_ord`, `_rid` (null unless
  it is a row of the batch), the columns of a row, and `_ff_said` (bits that stand for its values).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowforge_assets.strategies.merged import content, listed
from flowforge_assets.transforms.cast import OPERATION, row_columns, table_columns
from flowforge_resources.duck import quote

if TYPE_CHECKING:
    import duckdb

    from flowforge_assets.table_spec import TableSpec


class Events:
    """One table's events, as relations of a connection. `table` and `state` name what is known so far."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, spec: TableSpec, table: str | None, state: str | None
    ) -> None:
        """Begin with what is published and remembered; empty relations stand for None."""
        self.connection, self.spec = connection, spec
        self.columns, self.table_columns = row_columns(spec), table_columns(spec)
        self.values = [column.name for column in spec.stored_columns]
        self.ignored = [name for name in spec.strategy.ignore_null if name in self.values]
        self.order = [f"_ff_s{place}" for place in range(max(len(spec.sequence_by), int(spec.strategy.keeps_history)))]
        self.keys = listed(spec.keys)
        self.is_new = table is None and state is None
        self._create_empty()
        self.table, self.state = table or "no_rows", state or "no_events"

    @property
    def position(self) -> str:
        """SQL for the order of a key's events: by sequence, null first, then as they came."""
        return ", ".join([*(f"{name} ASC NULLS FIRST" for name in self.order), "_ff_src", "_ff_ord"])

    @property
    def readable(self) -> bool:
        """Whether the sequence of a published row can be read from the row."""
        behind = self.spec.sequence_by[1:] if self.spec.strategy.keeps_history else self.spec.sequence_by
        return set(behind) <= set(self.values)

    def run(self, sql: str) -> None:
        """Execute a statement."""
        self.connection.execute(sql)

    def ordered(self, sources: list[str]) -> str:
        """The order columns of a select list, each with a comma behind it."""
        return "".join(f"{source} AS {name}, " for source, name in zip(sources, self.order, strict=True))

    def sequence(self) -> list[str]:
        """SQL for the order columns of a landed row; where none is declared, history goes by arrival."""
        if self.spec.sequence_by or not self.order:
            return [quote(name) for name in self.spec.sequence_by]
        return ["_ingested_at"]

    def _create_empty(self) -> None:
        order, strategy = self.sequence(), self.spec.strategy
        made = dict(zip(strategy.interval, [*order[:1] * 2, "TRUE"], strict=False)) | {
            strategy.version_key: "0::BIGINT"
        }
        shape = [name for name in self.table_columns if name not in self.columns]
        extra = "".join(f", {made[name]} AS {quote(name)}" for name in shape)
        self.run(f"CREATE TABLE no_rows AS SELECT {listed(self.columns)}{extra} FROM typed WHERE FALSE")
        self.run(
            f"CREATE TABLE no_events AS SELECT 0 AS _ff_op, 0::BIGINT AS _ff_ord, {self.ordered(order)}{listed(self.columns)} FROM typed WHERE FALSE"
        )

    def take(self, rids: str) -> None:
        """Create `incoming` from the rows whose `_rid` is in a relation.

        By arrival, two rows of a key that came at the same moment are a microsecond apart, so that both count.
        """
        marks = OPERATION if self.spec.strategy.marks_operations else "0"
        order = self.sequence()
        if self.order and not self.spec.sequence_by:
            again = f"row_number() OVER (PARTITION BY {self.keys}, _ingested_at ORDER BY _rid) - 1"
            order = [f"_ingested_at + to_microseconds({again})"]
        self.run(
            f"CREATE OR REPLACE TABLE incoming AS SELECT _rid, {marks} AS _ff_op, {self.ordered(order)}{listed(self.columns)} "
            f"FROM typed WHERE _rid IN {rids}"
        )

    def touch(self, sources: list[str]) -> None:
        """Create `touched`, the keys of some relations, and `old`."""
        each = " UNION ".join(f"SELECT DISTINCT {self.keys} FROM {source}" for source in sources)
        self.run(f"CREATE OR REPLACE TABLE touched AS SELECT row_number() OVER () AS _ff_k, {self.keys} FROM ({each})")
        self.run(
            f"CREATE OR REPLACE TABLE old AS SELECT _ff_k, {listed(self.table_columns)} FROM {self.table} JOIN touched USING ({self.keys})"
        )

    def gather(self, batch: str) -> None:
        """Create `event` from the touched keys' known events and those of the batch.

        Args:
            batch: query for `_ff_k`, `_ff_op`, order columns, `_rid` and the columns of a row.
        """
        columns = listed(self.columns)
        # A full extract brings a deleted key back whatever its sequence, so that the delete no longer counts.
        reopens = self.spec.strategy.takes_extracts and not self.spec.strategy.keeps_history
        counts = " AND (_ff_op = 0 OR _ff_k IN (SELECT _ff_k FROM old))" if reopens else ""
        known = f"(SELECT {self.keys} FROM {self.state} WHERE _ff_op < 2)"
        plain = f"(FROM old ANTI JOIN {known} USING ({self.keys}))"
        parts = [
            f"SELECT _ff_k, 0 AS _ff_op, {self.ordered(self._read_back())}0 AS _ff_src, 0::BIGINT AS _ff_ord, NULL::BIGINT AS _rid, {columns} FROM {plain}",
            f"SELECT _ff_k, _ff_op, {listed_after(self.order)}0, _ff_ord, NULL, {columns} FROM {self.state} JOIN touched USING ({self.keys}) WHERE _ff_op < 2{counts}",
            f"SELECT _ff_k, _ff_op, {listed_after(self.order)}1, _rid, _rid, {columns} FROM ({batch})",
        ]
        parts += [self._gaps(plain)] if self.spec.strategy.keeps_history else []
        said = f"CASE WHEN _ff_op = 0 THEN {content(self.values)} END"
        self.run(
            f"CREATE OR REPLACE TABLE event AS SELECT row_number() OVER () AS _ff_id, *, {said} AS _ff_said "
            f"FROM ({' UNION ALL '.join(parts)})"
        )

    def _read_back(self) -> list[str]:
        """SQL for the order columns of a published row that is one event."""
        stored = [quote(name) if name in self.values else "NULL" for name in self.spec.sequence_by]
        if self.spec.strategy.keeps_history:
            return [quote(self.spec.strategy.valid_from), *stored[1:]]
        return stored

    def _gaps(self, plain: str) -> str:
        """The deletes that the intervals of published versions tell of: an end at which nothing begins."""
        start, end = quote(self.spec.strategy.valid_from), quote(self.spec.strategy.valid_to)
        order = self.ordered([end, *["NULL"] * (len(self.order) - 1)])
        named = {*self.spec.keys, self.spec.surrogate_key}
        columns = ", ".join(quote(name) if name in named else f"NULL AS {quote(name)}" for name in self.columns)
        return (
            f"SELECT _ff_k, 1, {order}0, 0, NULL, {columns} FROM {plain} "
            f"QUALIFY {end} IS NOT NULL AND lead({start}) OVER (PARTITION BY _ff_k ORDER BY {start}) IS DISTINCT FROM {end}"
        )

    def place(self) -> None:
        """Create `placed`: events without wide columns; `repeats` where one says again what the one before it says.

        Only an event of the same sequence is repeated so, and none behind a truncate that comes between. `known`: what
        is repeated was known before the batch.
        """
        by = ", ".join(["_ff_k", *self.order])
        same = " AND ".join(f"e.{name} IS NOT DISTINCT FROM t.{name}" for name in self.order) or "TRUE"
        self.run(
            f"CREATE OR REPLACE TABLE placed AS SELECT e.* EXCLUDE (again, of_src, of_ord), "
            "again AND t._ff_ord IS NULL AS repeats, coalesce(of_src = 0, FALSE) AS known FROM ("
            f"SELECT _ff_id, _ff_k, _ff_op, {listed_after(self.order)}_ff_src, _ff_ord, _rid, _ff_said, "
            "coalesce(lag(_ff_op) OVER same = _ff_op AND lag(_ff_said) OVER same IS NOT DISTINCT FROM _ff_said, FALSE) AS again, "
            "lag(_ff_src) OVER same AS of_src, lag(_ff_ord) OVER same AS of_ord "
            f"FROM event WINDOW same AS (PARTITION BY {by} ORDER BY _ff_src, _ff_ord)) e "
            f"LEFT JOIN truncate t ON {same} AND (of_src, of_ord) < (t._ff_src, t._ff_ord) "
            "AND (t._ff_src, t._ff_ord) < (e._ff_src, e._ff_ord)"
        )


def listed_after(names: list[str]) -> str:
    """Columns for a select list, each with a comma behind it."""
    return "".join(f"{name}, " for name in names)
