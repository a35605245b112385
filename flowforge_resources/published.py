"""Published tables: one Parquet object each, which says about itself what it holds.

The footer carries FlowForge's facts (version, run, how much bronze is merged in, what it was built from), so that data
and state change in one atomic step and a reader of any engine still sees a plain Parquet file.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowforge_resources.errors import FlowForgeError

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
    """What is published under a key, from its footer alone; None where nothing is.

    An object that is replaced while it is read is read again.
    """
    while (stored := lake.head(key)) is not None:
        try:
            found = Published(stored, *_footer(_metadata(lake, stored)))
        except (ValueError, OSError, FlowForgeError):
            if lake.head(key) == stored:
                raise
        else:
            # One more look costs a request on a remote store, and nothing is published there on a stale ETag.
            if lake.local_root is None or lake.head(key) == stored:
                return found
    return None


def _metadata(lake: Lake, stored: StoredObject) -> Any:
    from pyarrow import parquet

    source = lake.local_root / stored.key if lake.local_root is not None else _Ranged(lake, stored)
    return parquet.read_metadata(source)


class _Ranged(io.RawIOBase):
    """An object as a seekable file: each read is one ranged request, which is what a footer takes."""

    def __init__(self, lake: Lake, stored: StoredObject) -> None:
        self._lake, self._stored, self._position = lake, stored, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._stored.size_bytes}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def read(self, size: int = -1) -> bytes:
        left = self._stored.size_bytes - self._position
        content = self._lake.read_range(self._stored.key, self._position, left if size < 0 else min(size, left))
        self._position += len(content)
        return content


def read_footer(path: Path) -> tuple[Mapping[str, Any], int, tuple[tuple[str, str], ...]]:
    """Facts, row count and columns (name, type) of a local Parquet file."""
    from pyarrow import parquet

    return _footer(parquet.read_metadata(path))


def _footer(metadata: Any) -> tuple[Mapping[str, Any], int, tuple[tuple[str, str], ...]]:
    raw = (metadata.metadata or {}).get(FOOTER_KEY.encode())
    schema = metadata.schema.to_arrow_schema()
    columns = tuple((field.name, _type_name(field.type)) for field in schema)
    return (json.loads(raw) if raw else {}), metadata.num_rows, columns


def _type_name(kind: Any) -> str:
    """A column's type in the words of a workflow's YAML; in Arrow's where YAML has none."""
    from pyarrow import types

    if types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    words = {
        "text": types.is_string(kind) or types.is_large_string(kind),
        "integer": types.is_integer(kind),
        "float": types.is_floating(kind),
        "boolean": types.is_boolean(kind),
        "date": types.is_date(kind),
        "time": types.is_time(kind),
        "timestamp": types.is_timestamp(kind),
    }
    return next((word for word, fits in words.items() if fits), str(kind))


def word_for(duckdb_type: str) -> str:
    """The same words for a type as DuckDB names it, e.g. `text` for VARCHAR."""
    name = duckdb_type.partition("(")[0]
    if name.startswith("TIMESTAMP"):
        return "timestamp"
    integers = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
    words = {"VARCHAR": "text", "DOUBLE": "float", "FLOAT": "float"} | dict.fromkeys(integers, "integer")
    return words.get(duckdb_type, duckdb_type.lower())


def copy_with_facts(select: str, path: Path, facts: Mapping[str, Any]) -> str:
    """The DuckDB statement that writes a query's rows to a local file with FlowForge's facts in the footer."""
    from flowforge_resources.duck import literal

    return (
        f"COPY ({select}) TO {literal(str(path))} "
        f"({COPY_OPTIONS}, KV_METADATA {{{FOOTER_KEY}: {literal(json.dumps(facts, sort_keys=True))}}})"
    )
