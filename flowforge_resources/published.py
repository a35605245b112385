"""Published tables: one Parquet object each, which says about itself what it holds.

The footer carries FlowForge's facts (version, run, how much bronze is merged in, what it was built from), so that data
and state change in one atomic step and a reader of any engine still sees a plain Parquet file.
"""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from flowforge_resources.lake import Lake, StoredObject

FOOTER_KEY = "flowforge"
# Silver and gold compress at level 1: level 3 costs 5 % more CPU for no smaller files worth having.
COPY_OPTIONS = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1"


@dataclass(frozen=True)
class Published:
    """One version of a table as it lies on the lake."""

    object: StoredObject
    facts: Mapping[str, Any]
    rows: int
    columns: tuple[tuple[str, str], ...]

    @property
    def nonce(self) -> str:
        """Different for every published version."""
        return str(self.facts.get("nonce", self.object.etag))


def read_published(lake: Lake, key: str) -> Published | None:
    """What is published under a key, from its footer alone; None where nothing is."""
    import obstore
    from pyarrow import parquet

    stored = lake.head(key)
    if stored is None:
        return None
    with lake.clear_errors(f"read the footer of {key}"), closing(obstore.open_reader(lake.store, key)) as reader:
        metadata = parquet.read_metadata(reader)
    return Published(stored, *_footer(metadata))


def read_footer(path: Path) -> tuple[Mapping[str, Any], int, tuple[tuple[str, str], ...]]:
    """Facts, row count and columns (name, type) of a local Parquet file."""
    from pyarrow import parquet

    return _footer(parquet.read_metadata(path))


def _footer(metadata: Any) -> tuple[Mapping[str, Any], int, tuple[tuple[str, str], ...]]:
    raw = (metadata.metadata or {}).get(FOOTER_KEY.encode())
    schema = metadata.schema.to_arrow_schema()
    columns = tuple((field.name, str(field.type)) for field in schema)
    return (json.loads(raw) if raw else {}), metadata.num_rows, columns


def copy_with_facts(select: str, path: Path, facts: Mapping[str, Any]) -> str:
    """The DuckDB statement that writes a query's rows to a local file with FlowForge's facts in the footer."""
    from flowforge_resources.duck import literal

    return (
        f"COPY ({select}) TO {literal(str(path))} "
        f"({COPY_OPTIONS}, KV_METADATA {{{FOOTER_KEY}: {literal(json.dumps(facts, sort_keys=True))}}})"
    )
