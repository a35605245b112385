"""Run the small workflow once on the lake of the environment, in a process of its own; say how it went."""

from __future__ import annotations

import tempfile
from pathlib import Path

from flowforge_resources import retries
from scenario import failures, run, shop


def main() -> None:
    """Run it; retries do not wait."""
    retries._FIRST_WAIT_S = 0.01
    with tempfile.TemporaryDirectory() as folder:
        result = run(shop(Path(folder)), "shop")
    print(failures(result))  # noqa: T201  # the parent reads it
    print(f"success: {result.success}")  # noqa: T201


if __name__ == "__main__":
    main()
