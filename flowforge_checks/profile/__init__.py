"""Profiles: what is in a table, column by column, and what changed since the last look."""
