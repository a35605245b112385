"""Where published tables are delivered to: databases, files, HTTP endpoints. Knows no workflow and no YAML."""
