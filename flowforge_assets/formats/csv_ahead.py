"""An iterator read one step ahead in a thread: parsing and writing then share two cores."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

Item = TypeVar("Item")


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yield the items in order while the next is being made; at most two are held. Errors surface where they belong."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="csv-ahead") as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item
