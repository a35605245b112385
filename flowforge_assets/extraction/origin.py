"""Where the rows of a `source` come from: how the UI names it, and what fetches them. One face for databases and APIs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from flowforge_assets.extraction.extract import Extraction
    from flowforge_assets.extraction.http_source import HttpSource
    from flowforge_assets.extraction.source import DatabaseSource
    from flowforge_assets.table_spec import TableSpec
    from flowforge_resources.databases.connection import ConnectionFields
    from flowforge_resources.lake import Lake
    from flowforge_resources.ledger import Ledger
    from flowforge_resources.scratch import Scratch


class Origin(Protocol):
    """What a bronze table is extracted from."""

    @property
    def engine(self) -> str:
        """The asset's kind in the UI."""

    @property
    def described(self) -> str:
        """The asset's description."""

    def extract(self, lake: Lake, spec: TableSpec, ledger: Ledger, *, at: datetime, scratch: Scratch) -> Extraction:
        """Write the new rows to one local Parquet file."""


@dataclass(frozen=True)
class DatabaseOrigin:
    """A table or query of a database."""

    source: DatabaseSource
    connection: ConnectionFields

    @property
    def engine(self) -> str:
        """The kind of database."""
        return self.connection.kind

    @property
    def described(self) -> str:
        """Which rows of which database."""
        what = f"`{self.source.table}`" if self.source.table else "`a query`"
        return f"The rows of {what} in {self.connection.its_kind.title} (`{self.connection.name}`), as text."

    def extract(self, lake: Lake, spec: TableSpec, ledger: Ledger, *, at: datetime, scratch: Scratch) -> Extraction:
        """See `extraction.extract`."""
        from flowforge_assets.extraction.extract import extract

        return extract(lake, spec, self.connection, ledger, at=at, scratch=scratch)


@dataclass(frozen=True)
class HttpOrigin:
    """The records of an HTTP API."""

    source: HttpSource

    @property
    def engine(self) -> str:
        """Dagster's word for it."""
        return "api"

    @property
    def described(self) -> str:
        """Which records of which API."""
        return f"The records of `{self.source.url.partition('?')[0]}`, as text."

    def extract(self, lake: Lake, spec: TableSpec, ledger: Ledger, *, at: datetime, scratch: Scratch) -> Extraction:
        """See `extraction.http_extract`."""
        from flowforge_assets.extraction.http_extract import extract_http

        return extract_http(lake, spec, ledger, at=at, scratch=scratch)
