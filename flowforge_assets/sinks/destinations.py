"""Where sinks deliver to, as `SinkSpec` takes it: each destination opens what it writes to when it is asked to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowforge_resources.lake import Lake
    from flowforge_resources.sinks.database import TableTarget
    from flowforge_resources.sinks.delivered import Delivered
    from flowforge_resources.sinks.endpoint import EndpointTarget
    from flowforge_resources.sinks.files import FileTarget
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
    def described(self) -> str:
        """The table, the database by its connection, and how rows enter it."""
        one = self.target
        return f"`{one.table}` in {one.connection.its_kind.title} ({one.connection.name}) by `{one.mode}`"

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


@dataclass(frozen=True)
class ToFolder:
    """Files in a folder."""

    target: FileTarget

    @property
    def kind(self) -> str:
        """The format."""
        return self.target.format.name

    @property
    def described(self) -> str:
        """The folder and the format."""
        return f"{self.kind} files in `{self.target.folder}`"

    @property
    def shape(self) -> object:
        """Which folder, and how it is written; how many versions stay is no other export."""
        one = self.target
        return ["files", one.folder, one.name, one.format, one.partition_by]

    def deliver(self, sink: str, fingerprint: str, outgoing: Outgoing, lake: Lake) -> Delivered:
        """A new version, or none."""
        from flowforge_resources.sinks.files import deliver_files

        return deliver_files(sink, self.target, fingerprint, outgoing, lake)


@dataclass(frozen=True)
class ToHttp:
    """An HTTP endpoint."""

    target: EndpointTarget

    @property
    def kind(self) -> str:
        """The word that the UI shows."""
        return "http"

    @property
    def described(self) -> str:
        """What is sent; an address may hold a secret."""
        return f"an HTTP endpoint, in batches of {self.target.batch_rows} rows"

    @property
    def shape(self) -> object:
        """Which endpoint, and what it is sent; how patient we are is no other delivery."""
        one = self.target
        return ["endpoint", one.url, one.method, one.batch_rows]

    def deliver(self, sink: str, fingerprint: str, outgoing: Outgoing, lake: Lake) -> Delivered:
        """Batch after batch; a later run goes on where one broke off."""
        from flowforge_resources.sinks.endpoint import deliver_batches

        return deliver_batches(sink, self.target, fingerprint, outgoing, lake)
