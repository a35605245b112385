"""The part of a table's YAML that says which database its rows come from, instead of landing files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from flowforge_assets.components.connection import find_connection
from flowforge_assets.components.part import AssetPart, AsWritten, as_written
from flowforge_assets.extraction.known_rows import DELETED
from flowforge_assets.extraction.source import DatabaseSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    import dagster as dg

    from flowforge_assets.table_spec import Column
    from flowforge_resources.databases.connection import ConnectionFields


class SourcedPart(AssetPart):
    """A table whose rows are extracted from a database."""

    source: Annotated[AsWritten[DatabaseSource] | None, as_written(DatabaseSource | None)] = Field(
        default=None,
        description="The database the rows come from, instead of landing files.",
        examples=[{"connection": "shop", "table": "public.orders", "cursor": "updated_at"}],
    )

    def require_connection(self, context: dg.ComponentLoadContext) -> ConnectionFields:
        """The connection of the source.

        Raises:
            DefinitionError: it is not declared, or wrong.
        """
        if self.source is None:
            raise AssertionError("a table without a source has no connection")
        return find_connection(context, self.source.connection, self)

    def validate_source(self, columns: Sequence[Column]) -> None:
        """Check the source against the table.

        Raises:
            DefinitionError: no columns and no source, keys that the source's options need, two origins of rows.
        """
        keys: list[str] = getattr(self, "keys", [])
        if self.source is None:
            if not columns:
                raise self.wrong(
                    f"table '{self.name}' has no columns.",
                    "Add `columns:`, or a `source:` for a table that is bronze only.",
                    "attributes",
                )
            return
        if getattr(self, "source_table", None):
            raise self._wrong_source("has both `source` and `source_table`", "Keep one of the two.")
        needs = [
            option
            for option, given in (
                ("detect_deletes", self.source.detect_deletes),
                ("lag", self.source.lag),
                ("bounds: closed", self.source.bounds == "closed"),
                ("reconcile: [keys]", "keys" in self.source.reconcile),
            )
            if given
        ]
        if needs and not keys:
            raise self._wrong_source(f"has `{needs[0]}` and no `keys`", "Declare `keys`: rows are told apart by them.")
        headers = [column.header for column in columns]
        if self.source.detect_deletes and DELETED not in headers:
            raise self._wrong_source(
                "has `detect_deletes`, and nothing in silver takes the deletes",
                f"Add the column `{{name: {DELETED}, type: boolean}}`, `apply_as_delete_when: {DELETED}` and `except_columns: [{DELETED}]`.",
            )

    def _wrong_source(self, problem: str, fix: str) -> Exception:
        return self.wrong(f"table '{self.name}' {problem}.", fix, "attributes", "source")
