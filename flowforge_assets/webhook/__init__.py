"""The webhook: deliveries over HTTP become landing objects, each once. Knows no Dagster."""
