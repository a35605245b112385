"""One module a database: how its tables are read as text, in Arrow batches, in bounded memory."""
