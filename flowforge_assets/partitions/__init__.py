"""How tables are cut into partitions, and how Dagster lists, checks and backfills them."""
