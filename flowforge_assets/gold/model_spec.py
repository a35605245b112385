"""What a gold model is, as declared: its query, and what must hold of its result. Holds no data logic."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from flowforge_checks.rules import RULE_KINDS, AnyRule, Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowforge_assets.gold.incremental_spec import Incremental
    from flowforge_assets.gold.lookups import Lookup
    from flowforge_assets.gold.rows_kept import KeptRows
    from flowforge_assets.reconciliation.reconciling import Reconciled
    from flowforge_resources.layout import ModelId, TableId

UNKNOWN_KEY = -1
UNKNOWN_TEXT = "Unknown"


class ForeignKey(BaseModel):
    """A column that points to a row of another gold table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str = Field(description="The column of this model.")
    model: str = Field(description="The gold model it points to.")
    to: str | None = Field(default=None, description="The column it points to. Default: the column of the same name.")
    on_orphan: Literal["keep", "unknown", "drop", "block"] = Field(
        default="keep",
        description="What becomes of rows that point to no row: stay (the check fails), point to the unknown member -1, are left out, or keep the whole table from being published. All are counted.",
    )

    @property
    def target(self) -> str:
        """Column of the other model."""
        return self.to or self.column

    @property
    def moves_orphans(self) -> bool:
        """Whether the table does not show any more which of its rows were orphans."""
        return self.on_orphan in ("unknown", "drop")


class ModelColumn(BaseModel):
    """What a column of a model means, and what must hold of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="A column the SQL returns.")
    description: str | None = Field(default=None, description="What the column means; shown in the UI.")
    tests: tuple[str | dict[str, Any], ...] = Field(
        default=(),
        description="Rules about this column, as under `tests` without `column`; one without parameters as its bare name.",
        examples=[["not_null", {"rule": "range", "min": 0}]],
    )

    @model_validator(mode="after")
    def _check_tests(self) -> ModelColumn:
        _ = self.rules
        return self

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The tests as rules about this column."""
        written = [{"rule": test} if isinstance(test, str) else test for test in self.tests]
        return tuple(TypeAdapter(AnyRule).validate_python(self._about_me(one)) for one in written)

    def _about_me(self, test: dict[str, Any]) -> dict[str, Any]:
        kind = next((one for one in RULE_KINDS if one.word() == test.get("rule")), None)
        fields = kind.model_fields if kind else {"column": None}
        if "column" in fields and "columns" not in test:
            return {"column": self.name} | test
        return ({"columns": [self.name]} if "columns" in fields else {}) | test


def _shape(foreign: ForeignKey) -> dict[str, Any]:
    """What of a foreign key makes a table another one; keeping orphans, as always was, does not."""
    return foreign.model_dump(exclude={"on_orphan"} if foreign.on_orphan == "keep" else None)


@dataclass(frozen=True)
class ModelSpec:
    """One gold table: a query, and what must hold of its result.

    `pii`: columns with personal data; `not_pii`: those that hold none, whatever they are computed of.
    """

    id: ModelId
    sql: str
    sql_file: str
    keys: tuple[str, ...]
    unknown_member: str | None
    foreign_keys: tuple[ForeignKey, ...]
    pii: frozenset[str]
    not_pii: frozenset[str] = frozenset()
    reads: Mapping[str, TableId | ModelId] = field(default_factory=dict)
    tests: tuple[Rule, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    lookups: tuple[Lookup, ...] = ()
    omit: tuple[str, ...] = ()
    incremental: Incremental | None = None
    rows_kept: KeptRows | None = None
    reconciled: tuple[Reconciled, ...] = ()

    @property
    def statement(self) -> str:
        """The query without its semicolon."""
        return self.sql.rstrip().rstrip(";")

    def read(self, name: str) -> TableId | ModelId:
        """Who makes a table that is read, named with or without this workflow."""
        own = f"{self.id.workflow}."
        return self.reads.get(name) or self.reads.get(name.removeprefix(own)) or self.reads[own + name]

    @property
    def pointers(self) -> frozenset[str]:
        """Columns that hold keys of other tables."""
        return frozenset(one.column for one in self.foreign_keys) | {one.column for one in self.lookups}

    @cached_property
    def fingerprint(self) -> str:
        """Changes when the table must be made anew though its inputs did not change."""
        shape: list[Any] = [self.sql, self.keys, self.unknown_member]
        shape.append([_shape(one) for one in self.foreign_keys])
        shape += [[one.model_dump() for one in self.lookups], self.omit] if self.lookups or self.omit else []
        shape += [[test.shape for test in self.tests]] if self.tests else []
        # Not because the rows would be others, but so that what they were built from is noted.
        shape += [self.incremental.model_dump(exclude={"full_every"})] if self.incremental else []
        # A published table has passed what blocks.
        shape += [["rows_kept", self.rows_kept.driving]] if self.rows_kept and self.rows_kept.blocks else []
        return sha256(repr(shape).encode()).hexdigest()[:16]
