"""Where sinks deliver to, as `SinkSpec` takes it: each destination opens what it writes to when it is asked to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowforge_resources.lake import Lake
    from flowforge_resources.sinks.database import Delivered, TableTarget
    from flowforge_resources.sinks.outgoing import Outgoing


@dataclass(frozen=True)
class ToDatabase:
    """A table of a database."""

    target: TableTarget

    @property
    def kind(self) -> str:
        """The kind of database; what only a URL names is `sql`."""
        kind = self.target.connection.kind
        return "sql" if kind == "sqlalchemy" else kind

    @property
    def shape(self) -> object:
        """Which table, and how rows enter it."""
        one = self.target
        return ["table", one.connection.name, str(one.table), one.mode, one.keys, one.deletes]

    def deliver(self, sink: str, fingerprint: str, outgoing: Outgoing, lake: Lake) -> Delivered:
        """All rows or none."""
        from flowforge_resources.sinks.database import deliver

        del lake
        return deliver(sink, self.target, fingerprint, outgoing)
