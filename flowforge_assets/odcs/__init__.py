"""Tables as documents of the Open Data Contract Standard, and such documents as tables.

`properties`: columns. `tables`: a table's attributes, there and back. `files`: whole documents.
"""
