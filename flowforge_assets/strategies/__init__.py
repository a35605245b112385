"""The strategies: how a batch of judged rows enters a silver table. One module a strategy; they know no Dagster.

`merge` takes local files of what is published and may change, and returns one query for their next content, with the
books. What rows mean is AUTO CDC's (`docs/strategies.md`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowforge_assets.strategies import judged
from flowforge_assets.strategies.append import append
from flowforge_assets.strategies.full_refresh import full_refresh
from flowforge_assets.strategies.merged import Merge, files
from flowforge_assets.strategies.replay import replay
from flowforge_assets.strategies.upsert import upsert

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import duckdb

    from flowforge_assets.bronze.extract_files import EmptyExtract
    from flowforge_assets.table_spec import TableSpec
    from flowforge_checks.gate import Gate


def merge(
    connection: duckdb.DuckDBPyConnection,
    spec: TableSpec,
    gate: Gate,
    current: Sequence[Path],
    state: Path | None = None,
    *,
    empty: Sequence[EmptyExtract] = (),
    known: str = "",
) -> Merge:
    """Decide what becomes of every row of the batch.

    Args:
        connection: holds the view `typed` and the gate's table `verdict`.
        spec: the table.
        gate: the verdict on the batch.
        current: local files of what is published and may change; none for a table that has no version.
        state: local file of what was remembered beside them; None where nothing was.
        empty: extracts of the batch that brought no row.
        known: relation of the rows (`_rid`) of the batch that were taken in before; empty where there is none.
    """
    published = files(current)
    if spec.replays_events:
        return replay(connection, spec, gate, published, files([state] if state else []), empty=empty)
    if spec.strategy.kind == "full_refresh":
        return full_refresh(connection, spec, gate, published, empty)
    if spec.strategy.kind == "append":
        return append(connection, spec, gate, published)
    return upsert(connection, spec, gate, published, known)


__all__ = ["Merge", "judged", "merge"]
