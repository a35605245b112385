"""Files of any format as text columns: pure transforms that know neither Dagster nor the lake.

Import from the modules: `read_file.read_file` reads a landed file of any kind, `file_options` says what can be pinned,
`file_read` what every format offers. For CSV alone: `csv_read.read_any` reads, `csv_options` says what can be pinned and
what was decided, `csv_detect.detect` decides, `csv_robust` and `csv_fast` are the two ways to read. Nothing is imported
here, because the YAML needs the options and a code location must load without Polars.
"""
