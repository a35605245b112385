"""Polars over the lake: objects on the store as lazy frames, and listings as frames instead of Python objects.

Belongs here: opening and shaping. Does not: what a frame's rows mean.

A listing of a million objects is a frame of 150 MB or a million Python objects of 500 MB; only the first can be joined
with the ledger in a tenth of a second.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import polars as pl

    from flowforge_resources.lake import Lake

from flowforge_resources.lake import StoredObject

PAGE_KEYS = 10_000


def polars_options() -> dict[str, str]:
    """What Polars must be told to reach the same store as the lake: it reads the standard variables, but refuses http."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    return {"aws_allow_http": "true"} if endpoint.startswith("http://") else {}


def scan(lake: Lake, key: str) -> pl.LazyFrame:
    """A lazy frame over a Parquet object: only the columns and row groups that are used are read."""
    import polars as pl

    if lake.local_root is not None:
        return pl.scan_parquet(lake.local_root / key, glob=False)
    return pl.scan_parquet(lake.uri(key), storage_options=polars_options(), glob=False)


def scan_all(lake: Lake, keys: Sequence[str], *, path_as: str | None = None) -> pl.LazyFrame:
    """A lazy frame over Parquet objects of the same columns, told by the first one; `path_as`: a column with the path."""
    import polars as pl

    paths: list[Any] = [uri_of(lake, key) for key in keys]
    options = None if lake.local_root is not None else polars_options()
    return pl.scan_parquet(paths, storage_options=options, glob=False, include_file_paths=path_as)


def uri_of(lake: Lake, key: str) -> str:
    """An object's name as Polars says it."""
    return str(lake.local_root / key) if lake.local_root is not None else lake.uri(key)


def objects_schema() -> dict[str, Any]:
    """Columns of a listing."""
    import polars as pl

    return {"key": pl.String, "etag": pl.String, "size_bytes": pl.Int64, "last_modified": pl.Datetime("us", "UTC")}


def as_frame(found: Iterable[StoredObject]) -> pl.DataFrame:
    """Objects as a listing's frame."""
    import polars as pl

    rows = [(one.key, one.etag, one.size_bytes, one.last_modified) for one in found]
    return pl.DataFrame(rows, schema=objects_schema(), orient="row")


def as_objects(found: pl.DataFrame) -> list[StoredObject]:
    """A listing's frame as objects, in its order."""
    return [StoredObject(*row) for row in found.select(list(objects_schema())).iter_rows()]


def window(lake: Lake, prefix: str, *, after: str | None, limit: int) -> pl.DataFrame:
    """The next `limit` objects under a prefix in the order of their keys, later than the key `after`.

    Object stores list in that order and are asked for no more pages than that. A local folder is walked whole (5 s a
    million files), but no more than the window is kept.
    """
    if lake.local_root is not None:
        return _smallest(lake.pages(prefix, after=after, keys=PAGE_KEYS), limit)
    return _first(lake.pages(prefix, after=after, keys=PAGE_KEYS), limit)


def windows(lake: Lake, prefix: str, *, limit: int) -> Iterator[pl.DataFrame]:
    """Everything under a prefix, in windows of `limit` objects in the order of their keys."""
    import polars as pl

    if lake.local_root is not None:  # one walk, not one a window
        pages = [as_frame(page) for page in lake.pages(prefix, keys=PAGE_KEYS)]
        everything = pl.concat(pages).sort("key") if pages else as_frame(())
        yield from everything.iter_slices(limit)
        return
    held = as_frame(())
    for page in lake.pages(prefix, keys=PAGE_KEYS):
        held = pl.concat([held, as_frame(page)])
        if held.height >= limit:
            yield held
            held = as_frame(())
    if held.height:
        yield held


def _first(pages: Iterator[list[StoredObject]], limit: int) -> pl.DataFrame:
    import polars as pl

    found, height = [as_frame(())], 0
    for page in pages:
        found.append(as_frame(page[: limit - height]))
        height += found[-1].height
        if height >= limit:
            break
    return pl.concat(found)


def _smallest(pages: Iterator[list[StoredObject]], limit: int) -> pl.DataFrame:
    import polars as pl

    best = as_frame(())
    for page in pages:
        best = pl.concat([best, as_frame(page)]).sort("key").head(limit)
    return best
