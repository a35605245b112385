"""Ranges of a table, read over several connections at once into one stream of frames."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import TYPE_CHECKING

from flowforge_assets.bronze.type_ladder import kind_of
from flowforge_resources.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import polars as pl

    from flowforge_assets.extraction.source import Parallel
    from flowforge_resources.databases.readers.base import Reader, SourceColumn

_FRAMES_AHEAD = 2
_LOOK_S = 0.2


def ranges(table: str, parallel: Parallel, column: SourceColumn, reader: Reader, relation: str) -> list[str]:
    """Conditions in SQL that cut a table into ranges of a column; rows without a value are in the first.

    Raises:
        SourceError: the column holds no numbers.
    """
    if kind_of(column.type).family not in {"integer", "decimal"}:
        raise SourceError(
            table,
            f"`parallel.by: {column.name}` is a column of type {column.type}, and ranges are made of whole numbers.",
            "Name a column of whole numbers, best the key.",
        )
    name = reader.quote(column.name)
    low, high = reader.rows(f"SELECT min({name}), max({name}) FROM {relation}")[0]
    if low is None:
        return ["1 = 1"]
    first, last = int(low), int(high)
    parts = min(parallel.connections, last - first + 1)
    edges = [first + (last - first + 1) * part // parts for part in range(1, parts)]
    if not edges:
        return ["1 = 1"]
    inner = [f"{name} >= {low} AND {name} < {high}" for low, high in pairwise(edges)]
    return [f"({name} < {edges[0]} OR {name} IS NULL)", *inner, f"{name} >= {edges[-1]}"]


def merged(streams: Sequence[Callable[[], Iterator[pl.DataFrame]]]) -> Iterator[pl.DataFrame]:
    """The frames of all streams as they come, a few ahead; the first error ends them all."""
    ready: Queue[pl.DataFrame | BaseException | None] = Queue(_FRAMES_AHEAD * len(streams))
    stopped = Event()

    def put(one: pl.DataFrame | BaseException | None) -> None:
        while not stopped.is_set():
            with suppress(Full):
                ready.put(one, timeout=_LOOK_S)
                break

    def read(stream: Callable[[], Iterator[pl.DataFrame]]) -> None:
        try:
            for frame in stream():
                put(frame)
                if stopped.is_set():
                    return
            put(None)
        except BaseException as error:  # noqa: BLE001  # raised again where the frames are taken
            put(error)

    threads = [Thread(target=read, args=(stream,), daemon=True) for stream in streams]
    for thread in threads:
        thread.start()
    try:
        yield from _taken(ready, len(streams))
    finally:
        stopped.set()
        for thread in threads:
            thread.join()


def _taken(ready: Queue[pl.DataFrame | BaseException | None], streams: int) -> Iterator[pl.DataFrame]:
    while streams:
        try:
            found = ready.get(timeout=_LOOK_S)
        except Empty:
            continue
        if found is None:
            streams -= 1
        elif isinstance(found, BaseException):
            raise found
        else:
            yield found
