"""What a table's `source` may be: what has a `url` is an API, all else a database."""

from __future__ import annotations

from typing import Annotated

from pydantic import Discriminator, Tag

from flowforge_assets.extraction.http_source import HttpSource
from flowforge_assets.extraction.source import DatabaseSource


def _kind(written: object) -> str:
    has_url = "url" in written if isinstance(written, dict) else isinstance(written, HttpSource)
    return "http" if has_url else "database"


AnySource = Annotated[
    Annotated[DatabaseSource, Tag("database")] | Annotated[HttpSource, Tag("http")], Discriminator(_kind)
]
