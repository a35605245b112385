"""Which columns a table has, of which types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from flowforge_checks.rules.measures import MeasureRule

if TYPE_CHECKING:
    from flowforge_checks.rules.tables import Finding, Judged

# What `columns` of a table calls a type, where DuckDB names another so.
_DECLARED = {"text": "VARCHAR", "integer": "BIGINT", "float": "DOUBLE", "json": "VARCHAR"}


class SchemaIs(MeasureRule):
    """The table has these columns, with these types."""

    rule: Literal["schema_is"]
    columns: dict[str, str] = Field(
        min_length=1,
        description="Columns and their types: as `columns` of a table declares them, or as DuckDB names them.",
        examples=[{"id": "BIGINT", "name": "VARCHAR"}],
    )
    allow_more: bool = Field(default=False, description="Whether the table may have others too.")

    @property
    def default_name(self) -> str:
        return "schema_is"

    @property
    def columns_read(self) -> tuple[str, ...]:
        return ()

    @property
    def demand(self) -> str:
        listed = ", ".join(f"{name} {kind}" for name, kind in self.columns.items())
        return f"The columns are {listed}{' (and others)' if self.allow_more else ''}"

    @property
    def message(self) -> str:
        return "the columns are others"

    def query(self, judged: Judged) -> str:
        return f"SELECT list(column_name), list(column_type) FROM (DESCRIBE SELECT * FROM {judged.table})"

    def finding(self, values: tuple[Any, ...], judged: Judged) -> Finding:
        there = {name: kind for name, kind in zip(*values, strict=True) if name != "_rid"}
        wrong = [f"{name} is missing" for name in self.columns if name not in there]
        wrong += [
            f"{name} is {there[name]}, not {kind}"
            for name, kind in self.columns.items()
            if name in there and there[name].upper() not in (kind.upper(), _DECLARED.get(kind))
        ]
        more = [] if self.allow_more else [f"{name} is new" for name in there if name not in self.columns]
        said = "; ".join([*wrong, *more])
        return self.found(len(there), judged, broken=bool(said), said=f"{said}.")
