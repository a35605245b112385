"""A delivery to a table of a database: staged beside it, counted, and made true in one transaction.

1. Leftovers of killed runs are removed; the target is looked at, and rows that it would refuse are counted.
2. All rows are loaded into a staging table in the target's schema and counted there.
3. In one transaction: the target changes, is counted, and notes the version it got. Where a database ends transactions at
   DDL (MySQL, Oracle), a swap is one statement, and the note follows it: a crash between the two repeats the swap.

Belongs here: that order. Does not: statements (`dialects`), drivers (`session`), what refuses what (`shape`, `refusals`).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Literal
from uuid import uuid4

from flowforge_resources.errors import SinkCountsError, SinkError
from flowforge_resources.sinks.bookkeeping import Bookkeeping, Delivery
from flowforge_resources.sinks.delivered import Delivered
from flowforge_resources.sinks.refusals import told
from flowforge_resources.sinks.session import target_session
from flowforge_resources.sinks.shape import Shape, TargetColumn, require_fitting, require_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowforge_resources.databases.catalog import TableName
    from flowforge_resources.databases.connection import ConnectionFields
    from flowforge_resources.sinks.outgoing import Outgoing
    from flowforge_resources.sinks.session import Session

Mode = Literal["append", "upsert", "replace"]


@dataclass(frozen=True)
class TableTarget:
    """A table of a database, and how rows enter it. `deletes`: rows whose key is not delivered are removed."""

    connection: ConnectionFields
    table: TableName
    mode: Mode
    keys: tuple[str, ...] = ()
    deletes: bool = False
    allow_empty: bool = False


def staging_prefix(sink: str) -> str:
    """How the names of all staging tables of a sink begin, so that its next delivery finds what a killed one left."""
    return f"ff_stage_{sha256(sink.encode()).hexdigest()[:8]}_"


def deliver(sink: str, target: TableTarget, fingerprint: str, outgoing: Outgoing) -> Delivered:
    """Bring one version of a table to its target.

    Args:
        sink: `workflow/name`.
        target: where to.
        fingerprint: changes when the same version is to be delivered otherwise.
        outgoing: the rows.

    Raises:
        SinkError: the target cannot take them; it is as it was.
        SinkCountsError: what it holds afterwards is not what was given; it is as it was.
        ConcurrentPublishError: another run delivered at the same time.
        DatabaseRefusedError, DatabaseUnreachableError: as any connection.
    """
    with told(sink, target.connection, lambda _name: None), target_session(target.connection) as session:
        return _Delivery(sink, target, fingerprint, outgoing, session).run()


class _Delivery:
    def __init__(self, sink: str, target: TableTarget, fingerprint: str, outgoing: Outgoing, session: Session) -> None:
        self._sink, self._target, self._session, self._out = sink, target, session, outgoing
        self._now = Delivery(outgoing.version, fingerprint, outgoing.rows)
        self._dialect, self._table = session.dialect, target.table
        self._prefix = staging_prefix(sink)
        own = f"{self._prefix}{uuid4().hex[:6]}"
        self._staging, self._old = replace(self._table, name=own), replace(self._table, name=f"{own}_old")
        self._books = Bookkeeping(session, self._table, sink)

    def run(self) -> Delivered:
        self._sweep()
        self._books.create()
        shape, last = self._shape(), self._books.last()
        self._session.settle()
        if last and shape.columns and replace(last, rows=self._now.rows) == self._now:
            return Delivered(str(self._table), self._out.rows, self._out.rows, changed=False)
        self._require(shape, last)
        try:
            with told(self._sink, self._target.connection, lambda name: self._breaking(name, shape)):
                self._stage(shape)
                return self._make_true(shape, last)
        finally:
            self._sweep_own()

    # -- before ---------------------------------------------------------------------------------------------------

    def _sweep(self) -> None:
        """Remove what killed deliveries of this sink left."""
        left = [name for name in self._session.tables(self._table.schema) if name.lower().startswith(self._prefix)]
        self._session.settle()
        for name in left:
            with self._session.transaction():
                self._session.run(self._dialect.drop(replace(self._table, name=name)))

    def _sweep_own(self) -> None:
        """A session that is gone removes nothing; the next delivery does."""
        with suppress(Exception):
            self._sweep()

    def _shape(self) -> Shape:
        columns = tuple(TargetColumn.of(one) for one in self._session.columns(self._table))
        if columns and self._session.has_view(self._table):
            raise SinkError(self._sink, f"{self._table} is a view.", "Name a table.")
        return Shape(self._table, columns, self._session.unique(self._table) if columns else {})

    def _require(self, shape: Shape, last: Delivery | None) -> None:
        if shape.columns:
            require_fitting(self._sink, shape, self._out, self._dialect)
        require_values(self._sink, shape, self._out, self._target.keys, self._dialect)
        empties = self._target.mode == "replace" or self._target.deletes
        if empties and not self._out.rows and not self._target.allow_empty and last and last.rows:
            raise SinkError(
                self._sink,
                f"there is no row to deliver, and the last delivery to {self._table} had {last.rows:,}.",
                "Declare `allow_empty: true` if the target may be emptied.",
            )

    # -- staging --------------------------------------------------------------------------------------------------

    def _stage(self, shape: Shape) -> None:
        with self._session.transaction():
            self._session.run(self._made(shape))
        self._session.load(self._staging, self._out)
        self._require_count("the staging table", self._session.number(self._dialect.count(self._staging)))
        self._session.settle()

    def _made(self, shape: Shape) -> str:
        if not shape.columns:
            return self._dialect.create(self._staging, self._out.columns, self._target.keys)
        if self._swaps:
            return self._dialect.stage_like(self._staging, self._table)
        return self._dialect.stage(self._staging, self._table, list(self._out.columns))

    @property
    def _swaps(self) -> bool:
        return self._target.mode == "replace" and self._dialect.renames

    # -- making it true -------------------------------------------------------------------------------------------

    def _make_true(self, shape: Shape, last: Delivery | None) -> Delivered:
        indexed = any(set(columns) == set(self._target.keys) for columns in shape.unique.values())
        if shape.columns and not self._swaps:
            with self._session.transaction():
                for statement in self._dialect.prepare(self._staging, self._target.keys if indexed else ()):
                    self._session.run(statement)
        granted = self._session.grants(self._table) if shape.columns and self._swaps else []
        with self._session.transaction():
            self._books.take_turn(last)
            done = self._changed(shape)
            for statement in granted:
                self._session.run(statement)
            self._books.note(self._now)
        return done

    def _changed(self, shape: Shape) -> Delivered:
        if not shape.columns:
            return self._renamed(self._dialect.rename(self._staging, self._table.name), 0)
        if self._swaps:
            before = self._session.number(self._dialect.count(self._table))
            return self._renamed(self._dialect.swap(self._table, self._staging, self._old), before)
        if self._target.mode == "replace":
            deleted = self._session.number(self._dialect.count(self._table))
            self._session.run(self._dialect.clear(self._table))
            inserted = self._insert(())
            counted = self._session.number(self._dialect.count(self._table))
            self._require_count(str(self._table), counted)
            return self._said(counted, inserted=inserted, deleted=deleted)
        return self._merged(shape)

    def _renamed(self, statements: Sequence[str], before: int) -> Delivered:
        for statement in statements:
            self._session.run(statement)
        counted = self._out.rows  # of the staging table, which nobody else writes to
        if self._dialect.takes_back_ddl:
            counted = self._session.number(self._dialect.count(self._table))
            self._require_count(str(self._table), counted)
        return self._said(counted, inserted=self._out.rows, deleted=before)

    def _merged(self, shape: Shape) -> Delivered:
        keys, updated, deleted = self._target.keys, 0, 0
        values = {name: kind for name, kind in shape.words.items() if name in self._out.columns and name not in keys}
        if self._target.mode == "upsert" and values:
            updated = self._session.run(self._dialect.update(self._table, self._staging, keys, values))
        if self._target.deletes:
            deleted = self._session.run(self._dialect.delete_missing(self._table, self._staging, keys))
        inserted = self._insert(keys)
        counted = self._session.number(self._dialect.count_matched(self._table, self._staging, keys))
        self._require_count(f"{self._table}, by key,", counted)
        if self._target.deletes:
            self._require_count(str(self._table), self._session.number(self._dialect.count(self._table)))
        return self._said(counted, inserted=inserted, updated=updated, deleted=deleted)

    def _insert(self, keys: Sequence[str]) -> int:
        return self._session.run(self._dialect.insert(self._table, self._staging, list(self._out.columns), keys))

    def _said(self, counted: int, *, inserted: int, updated: int = 0, deleted: int = 0) -> Delivered:
        rows = self._out.rows
        return Delivered(str(self._table), rows, counted, inserted=inserted, updated=updated, deleted=deleted)

    def _require_count(self, where: str, counted: int) -> None:
        if counted != self._out.rows:
            raise SinkCountsError(
                self._sink,
                f"{self._out.rows:,} rows were to be delivered, and {where} holds {counted:,} of them.",
                "Look for a trigger, or a key that is in the target twice.",
            )

    def _breaking(self, name: str, shape: Shape) -> int | None:
        """How many staged rows clash with rows of the target in a constraint of it; None where that cannot be asked."""
        columns = shape.unique.get(name) or []
        if not columns or not set(columns) <= self._out.columns.keys():
            return None
        ask = self._dialect.count_clashing(self._table, self._staging, columns, self._target.keys)
        with suppress(Exception):
            return self._session.number(ask)
        return None
