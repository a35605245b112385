"""The code location of the benchmark's workflow, loaded exactly as the real one is."""

from pathlib import Path

from flowforge_assets.loading import load_workflows

defs = load_workflows(Path(__file__))
