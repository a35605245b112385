"""Pure steps from local files to local files. They know no Dagster and no lake."""
