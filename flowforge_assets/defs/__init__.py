"""One folder a workflow: `defs.yaml` and its SQL models."""
