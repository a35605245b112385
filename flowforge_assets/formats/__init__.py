"""Files of any format as text columns: pure transforms that know neither Dagster nor the lake."""
