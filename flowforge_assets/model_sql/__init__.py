"""What a model's SQL says about itself: the tables it reads, the columns it returns, and where each comes from.

`reads` parses (sqlglot), `engine` asks DuckDB, `origins` follows columns through the query (sqlglot), `analysis` puts the
answers together, `remembered` keeps them on disk, so that an unchanged query is analysed once and not at every start.
"""
