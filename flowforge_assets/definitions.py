"""The code location: loads the folder of workflows, and does nothing else."""

from flowforge_assets.catalog import workflows
from flowforge_assets.loading import load_workflows, package_of
from flowforge_resources.settings import project_root

defs = load_workflows(package_of(workflows()), project_root())
