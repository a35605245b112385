"""The code location of the benchmark's workflow, loaded exactly as the real one is."""

from pathlib import Path

from benchmarks.tpch import defs as folder
from flowforge_assets.loading import load_workflows

defs = load_workflows(folder, Path(__file__).parent)
