"""What a target knows of its deliveries: one row a sink, changed in the transaction that changes the target's rows.

So a retry, or a run after one that was killed between its commit and its report, finds its version delivered.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flowforge_resources.errors import ConcurrentPublishError
from flowforge_resources.layout import utc_now

if TYPE_CHECKING:
    from flowforge_resources.databases.catalog import TableName
    from flowforge_resources.sinks.session import Session

DELIVERIES = "_flowforge_deliveries"
_TYPES = {
    "sink": "VARCHAR",
    "version": "VARCHAR",
    "fingerprint": "VARCHAR",
    "rows_delivered": "BIGINT",
    "delivered_at": "VARCHAR",
}


@dataclass(frozen=True)
class Delivery:
    """The last delivery of a sink."""

    version: str
    fingerprint: str
    rows: int


class Bookkeeping:
    """The deliveries of one sink to the schema of one target."""

    def __init__(self, session: Session, target: TableName, sink: str) -> None:
        self._session, self._sink = session, sink
        self._name = replace(target, name=DELIVERIES, is_view=False)
        self._table = session.dialect.table(self._name)

    def create(self) -> None:
        """Make the table, if this is the first delivery to the schema."""
        if DELIVERIES in self._session.tables(self._name.schema):
            return
        self._session.settle()
        with self._session.transaction():
            # All its texts can be part of an index, so none is too long for any database.
            self._session.run(self._session.dialect.create(self._name, _TYPES, ["sink"]).replace("LONGTEXT", "TEXT"))

    def last(self) -> Delivery | None:
        """The last delivery, if there was one."""
        dialect = self._session.dialect
        names = ", ".join(dialect.quote(one) for one in ("version", "fingerprint", "rows_delivered"))
        ask = f"SELECT {names} FROM {self._table} WHERE {dialect.quote('sink')} = {dialect.markers(1)}"
        found = self._session.rows(ask, [self._sink])
        return Delivery(str(found[0][0]), str(found[0][1]), int(found[0][2])) if found else None

    def take_turn(self, last: Delivery | None) -> None:
        """Begin a delivery after the one that was last when it was prepared; who comes second waits here for the first.

        Raises:
            ConcurrentPublishError: another run has delivered since.
        """
        dialect = self._session.dialect
        if last is None:
            return  # two first deliveries cannot both note theirs
        sink, version = (f"{dialect.quote(name)} = " for name in ("sink", "version"))
        first, second = dialect.markers(2).split(", ")
        remove = f"DELETE FROM {self._table} WHERE {sink}{first} AND {version}{second}"
        if self._session.run(remove, [self._sink, last.version]) != 1:
            raise ConcurrentPublishError(f"sink {self._sink}")

    def note(self, delivered: Delivery) -> None:
        """Say that a version is delivered."""
        put = self._session.dialect.put(self._name, list(_TYPES))
        values = [self._sink, delivered.version, delivered.fingerprint, delivered.rows, utc_now().isoformat()]
        self._session.run(put, values)
