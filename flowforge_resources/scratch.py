"""Local disk for work in progress: one private folder a task, removed when the task ends.

A process that was killed leaves its folder behind; the next one removes it. A task holds a lock as long as it lives,
because a process id means nothing to another container that shares the disk.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from itertools import count
from typing import TYPE_CHECKING
from uuid import uuid4

from flowforge_resources.errors import ScratchSpaceError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

_PREFIX = "task-"
_LOCK = ".lock"
# How obstore, Polars and DuckDB say it; the last is DuckDB finding no room to spill to.
_FULL_DISK_SIGNS = ("os error 28", "No space left on device", "max_temp_directory_size")


class Scratch:
    """A folder that lives as long as the `with` block.

    Raises:
        ScratchSpaceError: where the block failed because the disk is full, whichever engine met it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._numbers = count(1)
        self._lock: int | None = None
        self.folder: Path = root

    def __enter__(self) -> Self:
        self.root.mkdir(parents=True, exist_ok=True)
        sweep_dead_tasks(self.root)
        while self._lock is None:
            self.folder = self.root / f"{_PREFIX}{uuid4().hex[:16]}"
            self._lock = _hold(_lock_of(self.folder))
        self.folder.mkdir()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        _lock_of(self.folder).unlink(missing_ok=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        if error is not None and not isinstance(error, ScratchSpaceError) and disk_is_full(error):
            raise ScratchSpaceError(str(self.root), "work there") from error

    def path(self, suffix: str) -> Path:
        """A new file name in the folder; the file does not exist yet."""
        return self.folder / f"{next(self._numbers):05d}{suffix}"


def disk_is_full(error: BaseException) -> bool:
    """Whether an error, or one that led to it, is a disk without room."""
    if getattr(error, "errno", None) == errno.ENOSPC or any(sign in str(error) for sign in _FULL_DISK_SIGNS):
        return True
    return error.__cause__ is not None and disk_is_full(error.__cause__)


def _lock_of(folder: Path) -> Path:
    return folder.with_name(folder.name + _LOCK)


def _hold(lock: Path) -> int | None:
    """Take a lock for as long as this process lives; None where someone has it, or removed it just now."""
    handle = os.open(lock, os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    if os.fstat(handle).st_nlink:
        return handle
    os.close(handle)
    return None


def sweep_dead_tasks(root: Path, *, dry_run: bool = False) -> list[tuple[str, int]]:
    """Remove the folders whose tasks are dead: nobody holds their lock. Returns their paths and bytes."""
    found = []
    for lock in root.glob(f"{_PREFIX}*{_LOCK}"):
        if (handle := _hold(lock)) is not None:
            folder = lock.with_name(lock.name.removesuffix(_LOCK))
            found.append((str(folder), sum(one.lstat().st_size for one in folder.rglob("*"))))
            if not dry_run:
                shutil.rmtree(folder, ignore_errors=True)
                lock.unlink(missing_ok=True)
            os.close(handle)
    return found
