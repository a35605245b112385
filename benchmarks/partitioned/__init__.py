"""One large partitioned table, and what is done to it each day."""
