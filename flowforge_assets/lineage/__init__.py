"""Column lineage: which column comes from which, from the landing file to gold.

`edges` has the words, `layers` says what each kind of table does to its columns, `graph` joins them, `text` and `page`
show it, `recorded` puts it where Dagster and people find it.
"""
