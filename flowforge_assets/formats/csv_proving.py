"""Large files are proven in a thread while Polars already writes their rows, in trust: both cores then work to the end.

What was written counts for nothing until `settled()` says that the files are what their beginnings promised. The proof
looks at a byte in a fifth of the time that Polars needs to write it, and lets go of Python's lock meanwhile.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flowforge_assets.formats.csv_options import CsvDialect
    from flowforge_assets.formats.csv_read import CsvRead


class Proving:
    """The proofs of those files that are unproven, made while this is open; closing it ends the thread.

    `in_vain` is called, in that thread, when one of the files is known to be another than its beginning promised.
    """

    def __init__(self, reads: Sequence[CsvRead], in_vain: Callable[[], None]) -> None:
        self._reads, self._in_vain = [read for read in reads if read.unproven], in_vain
        self._closed, self._refuted = Event(), Event()
        self._found: Future[list[CsvDialect]] = Future()

    def __enter__(self) -> Self:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="csv-proof")
        if self._reads:
            self._found = self._pool.submit(self._prove)
        else:
            self._found.set_result([])
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._pool.shutdown()

    @property
    def refuted(self) -> bool:
        """Whether one of the files is known by now to be another than its beginning promised."""
        return self._refuted.is_set()

    def settled(self) -> bool:
        """Wait for the proofs and tell whether all files are as promised; each then has what was found.

        One that its reader distrusts by now stays so.

        Raises:
            OSError: a file could not be read to its end.
        """
        for read, found in zip(self._reads, self._found.result(), strict=True):
            if read.unproven and found.clean:
                read.dialect = found
            elif read.unproven:
                read.distrust()
        return not self.refuted

    def _prove(self) -> list[CsvDialect]:
        return [self._look(read) for read in self._reads]

    def _look(self, read: CsvRead) -> CsvDialect:
        promised = read.dialect
        found = read.looked_through(self._closed.is_set)
        if not found.clean or found.unquoted != promised.unquoted:
            self._refuted.set()
            self._in_vain()
        return found
