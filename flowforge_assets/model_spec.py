"""What a gold model is, as declared, and what its SQL says about itself: the tables it reads. Holds no data logic."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from flowforge_resources.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowforge_assets.incremental_spec import Incremental
    from flowforge_assets.lookups import Lookup
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


def _shape(foreign: ForeignKey) -> dict[str, Any]:
    """What of a foreign key makes a table another one; keeping orphans, as always was, does not."""
    return foreign.model_dump(exclude={"on_orphan"} if foreign.on_orphan == "keep" else None)


@dataclass(frozen=True)
class ModelSpec:
    """One gold table: a query, and what must hold of its result."""

    id: ModelId
    sql: str
    sql_file: str
    keys: tuple[str, ...]
    unknown_member: str | None
    foreign_keys: tuple[ForeignKey, ...]
    pii: frozenset[str]
    reads: Mapping[str, TableId | ModelId] = field(default_factory=dict)
    lookups: tuple[Lookup, ...] = ()
    omit: tuple[str, ...] = ()
    incremental: Incremental | None = None

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
        # Not because the rows would be others, but so that what they were built from is noted.
        shape += [self.incremental.model_dump(exclude={"full_every"})] if self.incremental else []
        return sha256(repr(shape).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class SqlReads:
    """What one SQL file reads. `volatile` names functions whose result is new every time, such as `now()`."""

    tables: tuple[str, ...]
    volatile: tuple[str, ...] = ()


_VOLATILE = ("CurrentTimestamp", "CurrentDate", "CurrentTime", "Rand", "Uuid", "CurrentDatetime")


@lru_cache(maxsize=1024)
def read_sql(sql: str, where: str) -> SqlReads:
    """Parse a model's SQL (DuckDB dialect) and list the tables it reads, CTEs left out.

    Raises:
        DefinitionError: the text is not one SELECT statement; the message gives line and column.
    """
    import sqlglot
    from sqlglot import exp
    from sqlglot.optimizer.scope import traverse_scope

    try:
        statements = sqlglot.parse(sql, dialect="duckdb")
    except sqlglot.errors.ParseError as error:
        first = error.errors[0]
        problem = f"the SQL does not parse: {first['description']} near `{first['highlight']}`."
        raise DefinitionError(f"{where}:{first['line']}", problem, "Fix the statement there.") from None
    except sqlglot.errors.TokenError as error:
        problem = f"the SQL does not parse: {str(error).splitlines()[-1]}."
        raise DefinitionError(where, problem, "Close the text or name that is open there (line:column).") from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise DefinitionError(
            where, "a model is one SELECT statement.", "Keep one query in the file; what it returns becomes the table."
        )
    tables = {
        ".".join(part for part in (source.db, source.name) if part)
        for scope in traverse_scope(statements[0])
        for source in scope.sources.values()
        if isinstance(source, exp.Table) and source.name
    }
    volatile = {type(node).__name__ for node in statements[0].walk() if type(node).__name__ in _VOLATILE}
    return SqlReads(tuple(sorted(tables)), tuple(sorted(volatile)))
