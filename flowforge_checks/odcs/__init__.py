"""The Open Data Contract Standard (ODCS) 3.1: documents checked against its official schema, rules as its quality entries.

`quality`: rules. `official`: the schema. What a contract says of a table beside its rules is in `flowforge_assets.odcs`.
"""
