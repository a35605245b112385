"""How one process is measured: wall time, CPU time and peak memory as the kernel accounts them.

`os.wait4` gives a child's own usage: user and system time summed over it and the children it waited for, and the
largest resident set of any one of them. A child's peak starts at its parent's size at the fork, so whoever calls this
stays small: no engine is imported here, and tables are verified in a process of their own.
"""

from __future__ import annotations

import os
import subprocess
import sysconfig
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TAIL_BYTES = 4_000
# What a process loads of its environment: libraries and bytecode.
_LOADED = ("*.so*", "*.pyc")


@dataclass(frozen=True)
class Usage:
    """What one process and its children took."""

    wall_s: float
    cpu_s: float
    peak_mb: float

    def as_dict(self) -> dict[str, float]:
        """For JSON."""
        return {name: round(value, 3) for name, value in asdict(self).items()}


class ChildFailedError(Exception):
    """A measured command did not succeed; its numbers mean nothing."""

    def __init__(self, command: Sequence[str], code: int, log: Path) -> None:
        tail = log.read_bytes()[-TAIL_BYTES:].decode(errors="replace")
        super().__init__(f"`{' '.join(command)}` ended with exit code {code}. The end of {log}:\n{tail}")


def measure(
    command: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path, reads: Sequence[Path] = ()
) -> Usage:
    """Run a command to its end and return what it took.

    Args:
        command: the program and its arguments.
        env: its environment.
        cwd: its working folder.
        log: what it prints is kept there.
        reads: folders of files that it reads. They and its libraries are read once right before: some kernels (DAMON's
            reclaim) give the pages of files back that nobody touched for half a minute, and then the disk is measured.

    Raises:
        ChildFailedError: its exit code is not 0.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    os.sync()  # what an earlier run left to be written is not this one's cost
    warm(Path(sysconfig.get_path("platlib")), _LOADED)
    for folder in reads:
        warm(folder)
    with log.open("wb") as out:
        start = time.perf_counter()
        child = subprocess.Popen(command, env=dict(env), cwd=cwd, stdout=out, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(child.pid, 0)
        wall_s = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise ChildFailedError(command, child.returncode, log)
    return Usage(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def medians(usages: Sequence[Usage]) -> Usage:
    """The median of each number by itself."""
    return Usage(
        wall_s=median(usage.wall_s for usage in usages),
        cpu_s=median(usage.cpu_s for usage in usages),
        peak_mb=median(usage.peak_mb for usage in usages),
    )


def clean_env(**extra: str) -> dict[str, str]:
    """The environment of a measured process: nobody's settings, compiled bytecode kept, no message sent home."""
    env = {
        name: value for name, value in os.environ.items() if not name.startswith(("FLOWFORGE_", "DAGSTER_", "POLARS_"))
    }
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    return env | {"DAGSTER_DISABLE_TELEMETRY": "1"} | extra


def warm(folder: Path, patterns: Sequence[str] = ("*",)) -> None:
    """Read every file once, so that no contender pays for the disk alone."""
    for pattern in patterns:
        for path in folder.rglob(pattern):
            if path.is_file():
                with path.open("rb", buffering=0) as handle:
                    while handle.read(1 << 20):
                        pass
