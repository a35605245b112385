"""Starting, awaiting and ending the real servers that tests talk to."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

POLL_S = 0.1
T = TypeVar("T")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(
    ask: Callable[[], T], what: str, *, process: subprocess.Popen[bytes] | None = None, limit_s: float = 150
) -> T:
    """The first true answer; fails at the limit, or at once when the process that should answer has ended."""
    end = time.monotonic() + limit_s
    while not (answer := ask()):
        if process is not None and process.poll() is not None:
            raise AssertionError(f"waiting until {what}: the process ended with {process.returncode}")
        if time.monotonic() > end:
            raise AssertionError(f"not within {limit_s} s: {what}")
        time.sleep(POLL_S)
    return answer


def stop(process: subprocess.Popen[bytes], *, group: bool = False, limit_s: float = 20) -> int:
    """End it as `docker stop` would: ask, wait, insist. With `group`, ask its children too, as docker-init can."""
    if process.poll() is None:
        _signal(process, signal.SIGTERM, group=group)
    try:
        return process.wait(limit_s)
    except subprocess.TimeoutExpired:
        _signal(process, signal.SIGKILL, group=group)
        return process.wait(limit_s)


def _signal(process: subprocess.Popen[bytes], number: signal.Signals, *, group: bool) -> None:
    if group:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
