"""Whether a table's transforms can work, known before anything runs: the same views as in a run, over empty tables.

DuckDB's own binder knows every column, type and function. It is imported only where a table has transforms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowforge_assets.transforms.pipeline import Pipeline
from flowforge_resources.duck import quote

if TYPE_CHECKING:
    from flowforge_assets.table_spec import TableSpec


def check_transforms(spec: TableSpec) -> None:
    """Build a table's transforms over nothing.

    Raises:
        MisplacedError: an unknown column, a type clash, a bad expression, a function that cannot be loaded.
    """
    import duckdb

    config: dict[str, Any] = {"autoinstall_known_extensions": False, "autoload_known_extensions": False, "threads": 1}
    with duckdb.connect(":memory:", config=config) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        texts = "".join(f", NULL::VARCHAR AS {quote(name)}" for name in spec.root.landed_headers)
        audit = "NULL::VARCHAR AS _source_file, NULL::BIGINT AS _row_number, NULL::TIMESTAMP AS _ingested_at"
        connection.execute(
            f"CREATE VIEW landed AS SELECT NULL::BIGINT AS _rid, NULL::BIGINT AS _position{texts}, {audit} WHERE FALSE"
        )
        for lookup, columns in spec.lookups_on_the_way:
            types = ", ".join(f"NULL::{column.kind.sql_type} AS {quote(column.name)}" for column in columns)
            connection.execute(f"CREATE OR REPLACE VIEW {quote(lookup.relation)} AS SELECT {types} WHERE FALSE")
        Pipeline(connection).build(spec)
