"""The workflows of the benchmark's code location: one folder each."""
