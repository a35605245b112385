"""FlowForge's side of the benchmark: a project of its own beside the real one, so that no one's UI shows it."""
