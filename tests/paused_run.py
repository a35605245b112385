"""Run the small workflow once on the lake of the environment; stop, for as long as the parent likes, before its first commit.

It says `waiting` when the bronze file is on the lake and no ledger knows it, and goes on when a line comes.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from flowforge_resources import io_managers, retries
from scenario import failures, run, shop


def main() -> None:
    """Run it; retries do not wait."""
    retries._FIRST_WAIT_S = 0.01
    real, waited = io_managers.commit, []

    def commit(*args: Any) -> bool:
        if not waited:
            waited.append(True)
            print("waiting", flush=True)  # noqa: T201  # the parent reads it
            sys.stdin.readline()
        return real(*args)

    io_managers.commit = commit
    with tempfile.TemporaryDirectory() as folder:
        result = run(shop(Path(folder)), "shop")
    print(failures(result) or "done")  # noqa: T201


if __name__ == "__main__":
    main()
