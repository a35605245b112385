"""Local disk for work in progress: one private folder a task, removed when the task ends.

A process that was killed leaves its folder behind; the next one removes it. Folders carry the process id of their
owner, so that the folder of a living process is never touched.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

_PREFIX = "task-"


class Scratch:
    """A folder that lives as long as the `with` block."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._numbers = count(1)
        self.folder: Path = root

    def __enter__(self) -> Self:
        self.root.mkdir(parents=True, exist_ok=True)
        _sweep(self.root)
        self.folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=self.root))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, suffix: str) -> Path:
        """A new file name in the folder; the file does not exist yet."""
        return self.folder / f"{next(self._numbers):05d}{suffix}"


def _sweep(root: Path) -> None:
    for folder in root.glob(f"{_PREFIX}*"):
        owner = folder.name.removeprefix(_PREFIX).split("-", 1)[0]
        if owner.isdecimal() and not _alive(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
