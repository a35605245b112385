"""The code location: loads the `defs` folder, and does nothing else."""

from pathlib import Path

from flowforge_assets.loading import load_workflows

defs = load_workflows(Path(__file__))
