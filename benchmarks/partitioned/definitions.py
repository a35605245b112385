"""The code location of the partitions benchmark, loaded exactly as the real one is."""

from pathlib import Path

from benchmarks.partitioned import defs as folder
from flowforge_assets.loading import load_workflows

defs = load_workflows(folder, Path(__file__).parent)
