"""The outside world, one seam per module: the lake, its tables, DuckDB, settings. Imports neither sibling package."""
