"""Whether a local file is still being written: the kernel knows, because it refuses a read lease on such a file.

`cp` and `scp` are not atomic: a file is visible under its name from its first byte on. Its age and size say nothing of
a copy that pauses; the open handle of its writer does.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def is_being_written(path: Path) -> bool | None:
    """Whether any process of this machine has the file open for writing; None where the system does not tell.

    It does not tell on network disks, outside Linux, and of files of other users (without CAP_LEASE).

    Raises:
        FileNotFoundError: the file is gone.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return None
    handle = os.open(path, os.O_RDONLY)
    try:
        # A writer who comes while we hold the lease, some microseconds, makes the kernel signal us: with one that is
        # ignored by default, not with SIGIO, which kills.
        fcntl.fcntl(handle, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None
    finally:
        os.close(handle)
    return False
