"""Polluted CSV files with the truth beside them, made by seed: what `benchmarks.csv_robustness` measures on."""
