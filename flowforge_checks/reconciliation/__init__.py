"""Reconciliation: two sides that must say the same, by what they add up to or row by row."""
