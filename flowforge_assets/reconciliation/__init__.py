"""Reconciliations: where the two sides come from, and when they are compared."""
