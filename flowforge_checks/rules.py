"""Rules: declared statements about valid rows or a valid table.

Belongs here: the kinds of rule, each a small class that says which rows are valid in SQL and checks its own
parameters. Does not: when rules run (`gate`), or how a result is shown (`results`).

Null passes every rule but `not_null`: a rule about a value says nothing where there is none.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from flowforge_resources.duck import literal, quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Severity = Literal["warn", "error"]
Action = Literal["keep", "quarantine", "block"]
# Of a reference: how the rule finds the key column of the other table's published silver.
Scalar = str | int | float


BROKEN_ROWS: Mapping[Action, str] = {
    "keep": "rows that break it are counted and kept",
    "quarantine": "rows that break it go to quarantine",
    "block": "one row that breaks it stops the table from being published",
}


def in_code(names: Iterable[str]) -> str:
    """Column names for Markdown: `a`, `b`."""
    return ", ".join(f"`{name}`" for name in names)


class Rule(BaseModel):
    """What every rule has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # A row rule judges one row by itself; a table rule judges the table as it would be published.
    judges: ClassVar[Literal["row", "table"]] = "row"

    rule: str
    name: str = Field(default="", description="Name of the check in the UI. Default: the rule and its column(s).")
    severity: Severity = Field(default="error", description="How the check is shown when rows break it.")
    action: Action = Field(
        default="quarantine",
        description="What happens to a row that breaks it: `quarantine` holds the row back, `keep` counts it and lets it pass, `block` publishes nothing.",
    )
    description: str | None = Field(default=None, description="Why the rule exists; shown in the UI.")

    @model_validator(mode="after")
    def _check_action(self) -> Rule:
        if self.judges == "table" and "action" in self.model_fields_set and self.action == "quarantine":
            raise ValueError(
                f"`{self.rule}` judges the whole table, so no single row can go to quarantine. Write `action: keep` or `action: block`."
            )
        return self

    @property
    def check_name(self) -> str:
        """Name of the asset check."""
        return self.name or "_".join([self.rule, *self.columns_read])

    @property
    def effective_action(self) -> Action:
        """The action, where a table rule's default is to keep."""
        return "keep" if self.judges == "table" and self.action == "quarantine" else self.action

    @property
    @abstractmethod
    def message(self) -> str:
        """What is wrong with a row that breaks the rule, e.g. `quantity is not between 1 and 1000`."""

    @property
    @abstractmethod
    def demand(self) -> str:
        """What the rule asks of a row or the table, in Markdown, e.g. "`quantity` is between 1 and 1000"."""

    @property
    def about(self) -> str:
        """The check in the UI: why the rule exists, what it demands, and what happens to rows that break it."""
        return " ".join(filter(None, [self.description, f"{self.demand}; {BROKEN_ROWS[self.effective_action]}."]))

    @property
    @abstractmethod
    def columns_read(self) -> tuple[str, ...]:
        """The columns the rule looks at; empty where only SQL knows."""

    @property
    def referenced_table(self) -> str | None:
        """The other table the rule looks into."""
        return None

    @abstractmethod
    def valid(self, reads: Mapping[str, str]) -> str:
        """SQL: of a row rule, a condition that holds for a valid row (null counts as valid); of a table rule, a query for the number of rows that break it, `{table}` standing for the table.

        `reads` gives the local Parquet file of each referenced table.
        """


class _ColumnRule(Rule):
    column: str = Field(description="The column the rule is about.")

    @property
    def columns_read(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def _value(self) -> str:
        return quote(self.column)


class NotNull(_ColumnRule):
    """A value is there: not empty."""

    rule: Literal["not_null"]

    @property
    def demand(self) -> str:
        return f"`{self.column}` is not empty"

    @property
    def message(self) -> str:
        return f"{self.column} is empty"

    def valid(self, reads: Mapping[str, str]) -> str:
        del reads
        return f"{self._value} IS NOT NULL"


class Range(_ColumnRule):
    """The value lies between two bounds, both included."""

    rule: Literal["range"]
    min: Scalar | None = Field(default=None, description="Smallest valid value.")
    max: Scalar | None = Field(default=None, description="Largest valid value.")

    @model_validator(mode="after")
    def _check_bounds(self) -> Range:
        if self.min is None and self.max is None:
            raise ValueError("`range` needs `min`, `max` or both. Without a bound every value is valid.")
        return self

    @property
    def demand(self) -> str:
        if self.min is None or self.max is None:
            return f"`{self.column}` is {'at most' if self.min is None else 'at least'} {self.max if self.min is None else self.min}"
        return f"`{self.column}` is between {self.min} and {self.max}"

    @property
    def message(self) -> str:
        if self.min is None or self.max is None:
            return f"{self.column} is {'above' if self.min is None else 'below'} {self.max if self.min is None else self.min}"
        return f"{self.column} is not between {self.min} and {self.max}"

    def valid(self, reads: Mapping[str, str]) -> str:
        del reads
        bounds = ((">=", self.min), ("<=", self.max))
        return " AND ".join(f"{self._value} {op} {literal(bound)}" for op, bound in bounds if bound is not None)


class AllowedValues(_ColumnRule):
    """The value is one of a list."""

    rule: Literal["allowed_values"]
    values: tuple[Scalar, ...] = Field(min_length=1, description="The valid values.")

    @field_validator("values", mode="before")
    @classmethod
    def _no_yaml_booleans(cls, values: object) -> object:
        if isinstance(values, list | tuple) and any(isinstance(value, bool) for value in values):
            raise ValueError("YAML reads bare yes, no, on and off as true or false. Write such values in quotes.")
        return values

    @property
    def demand(self) -> str:
        return f"`{self.column}` is one of {', '.join(str(value) for value in self.values)}"

    @property
    def message(self) -> str:
        return f"{self.column} is none of {', '.join(str(value) for value in self.values)}"

    def valid(self, reads: Mapping[str, str]) -> str:
        del reads
        return f"{self._value} IN ({', '.join(literal(value) for value in self.values)})"


class Matches(_ColumnRule):
    """The whole text matches a regular expression (RE2 syntax)."""

    rule: Literal["matches"]
    pattern: str = Field(description="Regular expression for the whole value.")

    @property
    def demand(self) -> str:
        return f"`{self.column}` as a whole matches `{self.pattern}`"

    @property
    def message(self) -> str:
        return f"{self.column} does not match {self.pattern}"

    def valid(self, reads: Mapping[str, str]) -> str:
        del reads
        return f"regexp_full_match({self._value}, {literal(self.pattern)})"


class References(_ColumnRule):
    """The value occurs in a column of another table's silver."""

    rule: Literal["references"]
    table: str = Field(description="The other table, of the same workflow.")
    to: str | None = Field(default=None, description="Its column. Default: the column of the same name.")

    @property
    def referenced_table(self) -> str:
        return self.table

    @property
    def demand(self) -> str:
        return f"`{self.column}` is in `{self.table}.{self.to or self.column}`"

    @property
    def message(self) -> str:
        return f"{self.column} is not in {self.table}.{self.to or self.column}"

    def valid(self, reads: Mapping[str, str]) -> str:
        known = f"SELECT {quote(self.to or self.column)} FROM read_parquet({literal(reads[self.table])})"
        return f"{self._value} IN ({known})"


class Expression(Rule):
    """A SQL condition over the row's columns that holds for every valid row."""

    rule: Literal["expression"]
    sql: str = Field(description="Condition in DuckDB's SQL.", examples=["ship_date >= order_date"])

    @model_validator(mode="after")
    def _check_name(self) -> Expression:
        if not self.name:
            raise ValueError("`expression` needs a `name` that says what holds, e.g. `name: shipped_after_ordered`.")
        return self

    @property
    def columns_read(self) -> tuple[str, ...]:
        return ()

    @property
    def demand(self) -> str:
        return f"`{self.sql}`"

    @property
    def message(self) -> str:
        return f"not true: {self.sql}"

    def valid(self, reads: Mapping[str, str]) -> str:
        del reads
        return f"({self.sql})"


class Unique(Rule):
    """No two rows of the table share the values of these columns; rows with a null among them are left out."""

    judges: ClassVar[Literal["row", "table"]] = "table"

    rule: Literal["unique"]
    columns: tuple[str, ...] = Field(min_length=1, description="The columns that identify a row together.")

    @property
    def columns_read(self) -> tuple[str, ...]:
        return self.columns

    @property
    def demand(self) -> str:
        return f"No two rows share {in_code(self.columns)}"

    @property
    def message(self) -> str:
        return f"{', '.join(self.columns)} occurs more than once"

    def valid(self, reads: Mapping[str, str]) -> str:
        del reads
        names = ", ".join(quote(column) for column in self.columns)
        present = " AND ".join(f"{quote(column)} IS NOT NULL" for column in self.columns)
        return f"SELECT coalesce(sum(n), 0) FROM (SELECT count(*) AS n FROM {{table}} WHERE {present} GROUP BY {names} HAVING count(*) > 1)"


AnyRule = Annotated[
    NotNull | Range | AllowedValues | Matches | References | Expression | Unique, Field(discriminator="rule")
]
RULE_KINDS: tuple[type[Rule], ...] = (NotNull, Range, AllowedValues, Matches, References, Expression, Unique)
