"""The code location: loads the `defs` folder, and does nothing else."""

from flowforge_assets import defs as workflows
from flowforge_assets.loading import load_workflows
from flowforge_resources.settings import project_root

defs = load_workflows(workflows, project_root())
