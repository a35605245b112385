"""The file that Polars streams Parquet into, as one that can end the streaming and remembers why writing failed.

Polars cannot be told to end a query; it ends by itself where writing fails. It writes some hundred pieces a file, so
that it costs nothing that they come through Python.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class ParquetTarget(io.RawIOBase):
    """A file written from its begin to its end. `in_vain`, asked before each piece, ends the writing by an error."""

    def __init__(self, path: Path, in_vain: Callable[[], bool]) -> None:
        super().__init__()
        self._file = path.open("wb", buffering=0)
        self._in_vain = in_vain
        self._failure: OSError | None = None

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, piece: bytes, /) -> int:  # type: ignore[override]
        """Write all of a piece.

        Raises:
            OSError: the disk is full or broken, or the writing is in vain.
        """
        if self._in_vain():
            raise OSError("what is written is of no use any more")
        try:
            left = memoryview(piece)
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            self._failure = error
            raise
        return len(piece)

    def raise_failure(self) -> None:
        """Raise why a piece could not be written, if one could not: Polars says it in words only.

        Raises:
            OSError: the disk is full or broken.
        """
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            self._file.close()
        super().close()
