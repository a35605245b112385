"""Many small requests at once: each costs a store's latency, not its bandwidth."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE = 16


def side_by_side(work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """The result for each item, in order; raises what the first of them raised that failed, when all have ended."""
    wanted = list(items)
    if len(wanted) < 2:  # noqa: PLR2004  # one needs no thread
        return [work(one) for one in wanted]
    with ThreadPoolExecutor(min(AT_ONCE, len(wanted))) as pool:
        return list(pool.map(work, wanted))
