"""The command-line tool `flowforge`: what Dagster's own commands cannot do.

Exit codes: 0 done, 1 it failed (the message says why), 2 it was called wrongly.
"""

from flowforge_assets.cli.app import main as main

__all__ = ["main"]
