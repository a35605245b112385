"""The bronze rows of a table that count: of all its files, without what a newer version of a file superseded."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from flowforge_resources.frames import scan
from flowforge_resources.ledger import read_ledger

if TYPE_CHECKING:
    import polars as pl

    from flowforge_resources.lake import Lake
    from flowforge_resources.layout import TableId


def scan_bronze(lake: Lake, table: TableId, until: datetime | None = None) -> pl.LazyFrame | None:
    """All bronze of a table that counts, or counted at a moment; None where there was none."""
    import polars as pl

    ledger = read_ledger(lake, table)
    entries = ledger.data_after(0)
    later = [one.version for one in entries if until and datetime.fromisoformat(one.committed_at) > until]
    superseded = ledger.superseded(((min(later), ledger.version),) if later else ())
    frames = []
    for entry in entries:
        if entry.version in later:
            continue
        rows = scan(lake, entry.bronze_file)
        if entry.span:
            rows = rows.slice(entry.span.first, entry.span.end - entry.span.first)
        retracted = [key for version, key in superseded if version == entry.version]
        frames.append(rows.filter(~pl.col("_source_file").is_in(retracted)) if retracted else rows)
    return pl.concat(frames, how="diagonal") if frames else None
