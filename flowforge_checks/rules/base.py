"""What every rule has: its name, its action, how much of it is tolerated, and which rows or table it is asked of.

Belongs here: the two kinds of statement, about a row and about a table. Does not: any statement.
"""

from __future__ import annotations

from abc import abstractmethod
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from flowforge_checks.check_names import as_check_name
from flowforge_checks.rules.amounts import Amount, amount
from flowforge_checks.rules.conditions import never_null
from flowforge_resources.duck import quote
from flowforge_resources.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import duckdb

Severity = Literal["warn", "error"]
Action = Literal["keep", "drop", "quarantine", "block"]
Judges = Literal["row", "table"]
Scalar = str | int | float

BROKEN_ROWS: Mapping[Action, str] = {
    "keep": "rows that break it are counted and kept",
    "drop": "rows that break it are left out and counted",
    "quarantine": "rows that break it go to quarantine",
    "block": "one row that breaks it stops the table from being published",
}
REMOVES_ROWS: tuple[Action, ...] = ("quarantine", "drop")
# Fields that came after the first tables were made: they count in a table's fingerprint only where they are set.
_LATER = frozenset({"where"})
_SHOWN_ONLY = frozenset({"description", "severity", "owner", "warn_above", "error_above", "for_each_column"})


def in_code(names: Iterable[str]) -> str:
    """Column names for Markdown: `a`, `b`."""
    return ", ".join(f"`{name}`" for name in names)


def listed(names: Iterable[str]) -> str:
    """Column names for SQL: "a", "b"."""
    return ", ".join(map(quote, names))


class Rule(BaseModel):
    """What every rule has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # A row rule judges one row; a table rule judges the table as it would be published.
    judges_by_kind: ClassVar[Judges] = "row"
    # Whether it compares with the version published before.
    compares: ClassVar[bool] = False
    # Fields of a kind that came after the kind did.
    later: ClassVar[frozenset[str]] = frozenset()

    rule: str
    name: str = Field(default="", description="Name of the check in the UI. Default: the rule and its column(s).")
    severity: Severity = Field(default="error", description="How the check is shown when rows break it.")
    action: Action = Field(
        default="quarantine",
        description="What happens to a row that breaks it: `quarantine` holds the row back, `drop` leaves it out, `keep` counts it and lets it pass, `block` publishes nothing.",
    )
    description: str | None = Field(default=None, description="Why the rule exists; shown in the UI.")
    where: str | None = Field(
        default=None,
        description="SQL condition: the rule is asked only of rows for which it holds.",
        examples=["country = 'DE'"],
    )
    owner: str | None = Field(default=None, description="Who answers for the rule; shown with the check.")
    warn_above: Scalar | None = Field(
        default=None,
        description="Up to so many broken rows (`5`), or such a share of the rows asked (`0.5%`), the check passes; above it warns.",
    )
    error_above: Scalar | None = Field(
        default=None, description="The same, above which it fails; `action: block` blocks only then."
    )

    @model_validator(mode="after")
    def _check_its_name(self) -> Self:
        if self.name and self.name != as_check_name(self.name):
            raise ValueError(
                f"`name: {self.name}` has more than letters, digits and `_`. Write it as in `name: {as_check_name(self.name)}`."
            )
        return self

    @model_validator(mode="after")
    def _check_action(self) -> Self:
        if self.judges == "table" and self.action in REMOVES_ROWS and "action" in self.model_fields_set:
            raise ValueError(
                f"`{self.rule}` judges the whole table, so `action: {self.action}` has no single row to take out. Write `action: keep` or `action: block`."
            )
        return self

    @model_validator(mode="after")
    def _check_thresholds(self) -> Self:
        warn, error = self.tolerated
        if self.severity == "warn" and error is not None:
            raise ValueError("`error_above` needs `severity: error`, which is the default. Remove `severity: warn`.")
        if self.action == "block" and warn is not None and error is None:
            raise ValueError(
                "`action: block` with `warn_above` needs `error_above`: above how many broken rows nothing is published."
            )
        if warn is not None and error is not None and warn.percent == error.percent and warn.value > error.value:
            raise ValueError(
                f"`warn_above: {self.warn_above}` is more than `error_above: {self.error_above}`, so it would never warn. Swap them."
            )
        return self

    @classmethod
    def word(cls) -> str:
        """The kind as YAML names it."""
        return str(get_args(cls.model_fields["rule"].annotation)[0])

    @property
    def judges(self) -> Judges:
        """Whether the rule says something of one row, or of the table as it would be published."""
        return self.judges_by_kind

    @property
    def versions_compared(self) -> int:
        """With how many versions before it compares."""
        return int(self.compares)

    @property
    def tolerated(self) -> tuple[Amount | None, Amount | None]:
        """How many broken rows are no warning, and how many are no error."""
        return amount("warn_above", self.warn_above), amount("error_above", self.error_above)

    @property
    def check_name(self) -> str:
        """Name of the asset check."""
        return self.name or as_check_name(self.default_name)

    @property
    def default_name(self) -> str:
        """Name of the check where none is given, before what Dagster does not take in it is replaced."""
        return "_".join([self.rule, *self.columns_read])

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
        asked = f" (asked where `{self.where}`)" if self.where else ""
        done = f"; {BROKEN_ROWS[self.effective_action]}" if self.counts_rows else ""
        return " ".join(filter(None, [self.description, f"{self.demand}{asked}{done}."]))

    @property
    def counts_rows(self) -> bool:
        """Whether it is rows that break the rule, and not the table by some measure."""
        return self.judges == "row"

    @property
    @abstractmethod
    def columns_read(self) -> tuple[str, ...]:
        """The columns the rule looks at; empty where only SQL knows."""

    @property
    def own_column(self) -> str | None:
        """The one column whose value breaks it, where there is one."""
        return self.columns_read[0] if len(self.columns_read) == 1 else None

    @property
    def conditions(self) -> tuple[str, ...]:
        """SQL that a user wrote over the row's columns."""
        return (self.where,) if self.where else ()

    @property
    def asked(self) -> str:
        """SQL of the rows it is asked of, never null."""
        return never_null(self.where) if self.where else "TRUE"

    @property
    def referenced_table(self) -> str | None:
        """The other table the rule looks into."""
        return None

    @property
    def referenced_columns(self) -> tuple[str, ...]:
        """The columns of the other table that it looks at."""
        return ()

    @property
    def tables_read(self) -> tuple[str, ...]:
        """Every other table whose rows the rule needs."""
        return (self.referenced_table,) if self.referenced_table else ()

    @property
    def shape(self) -> dict[str, Any]:
        """What silver depends on: as it always was for a rule that uses nothing new."""
        later = {name for name in _LATER | self.later if getattr(self, name) == type(self).model_fields[name].default}
        return self.model_dump(exclude=set(_SHOWN_ONLY | later))

    def each(self, columns: Sequence[str]) -> tuple[Self, ...]:
        """The rule once for each column it is about, of those there are.

        Raises:
            ValueError: no column fits.
        """
        del columns
        return (self,)

    def named(self) -> tuple[Self, ...]:
        """The same where the columns are not known yet, so that each has to be named.

        Raises:
            ValueError: a pattern.
        """
        return (self,)

    def beside(self, folder: Path) -> Self:
        """The rule as it stands in a folder; one that needs files finds them there."""
        del folder
        return self

    def require_types(self, types: Mapping[str, str]) -> None:
        """Whether it can be asked of columns of these DuckDB types; what SQL's own checks would let pass.

        Raises:
            ValueError: the message says why not, and what to write.
        """
        del types

    def prepare(self, connection: duckdb.DuckDBPyConnection, source: str) -> None:
        """Do what has to be done before rows of the relation `source`, which have a `_rid`, are judged."""
        del connection, source

    def valid(self, reads: Mapping[str, str]) -> str:
        """SQL of a row rule: a condition that holds for a valid row. Null counts as valid.

        `reads` gives SQL of each referenced table.
        """
        del reads
        raise AssertionError(f"{self.rule} says nothing of one row")

    def broken(self, reads: Mapping[str, str]) -> str:
        """SQL of a row rule: whether a row breaks it; never null, and false where the rule is not asked."""
        asked = f"{self.asked} AND " if self.where else ""
        # A tenth cheaper for a table of many rules than `NOT coalesce(…, TRUE)`.
        return f"{asked}({self.valid(reads)}) IS FALSE"

    @abstractmethod
    def questions(self, table: str, reads: Mapping[str, str]) -> list[str]:
        """The queries that DuckDB must be able to run, for a check of the definition over empty tables."""


class RowRule(Rule):
    """A statement about one row."""

    def questions(self, table: str, reads: Mapping[str, str]) -> list[str]:
        """What the user wrote, where it cannot look at other rows, and whether a row breaks it."""
        written = [f"SELECT 1 FROM {table} WHERE ({one}\n) IS NOT NULL" for one in self.conditions]
        return [*written, f"SELECT ({self.broken(reads)}) FROM {table}"]


def fitting(field: str, patterns: Sequence[str], columns: Sequence[str], what: str = "column") -> list[str]:
    """Those of a table's columns that some pattern of a field fits, in the table's order.

    Raises:
        ValueError: a pattern fits none; `what` says none of which.
    """
    for one in patterns:
        if not any(fnmatchcase(name, one) for name in columns):
            raise ValueError(f"`{field}` names '{one}', which fits no {what}.{did_you_mean(one, columns)}")
    return [name for name in columns if any(fnmatchcase(name, one) for one in patterns)]


def require_names(field: str, patterns: Sequence[str]) -> None:
    """Refuse patterns in a field where the table's columns are not known.

    Raises:
        ValueError: there is one.
    """
    if pattern := next((one for one in patterns if set(one) & set("*?[")), None):
        raise ValueError(f"`{field}` has the pattern '{pattern}', and only a run knows the columns. Name each.")


class ColumnRule(RowRule):
    """A statement about one column's value."""

    column: str = Field(default="", description="The column the rule is about.")
    for_each_column: tuple[str, ...] = Field(
        default=(),
        description="In place of `column`: several, by name or pattern; one check each.",
        examples=[["price", "*_amount"]],
    )

    @model_validator(mode="after")
    def _check_column(self) -> Self:
        if bool(self.column) == bool(self.for_each_column):
            raise ValueError(f"`{self.rule}` needs `column`, or `for_each_column` with several; not both.")
        return self

    @property
    def columns_read(self) -> tuple[str, ...]:
        """The one column, once it is known which."""
        return (self.column,) if self.column else self.for_each_column

    @property
    def value(self) -> str:
        """SQL for the value."""
        return quote(self.column)

    def each(self, columns: Sequence[str]) -> tuple[Self, ...]:
        """One rule a column that some pattern fits, in the table's order."""
        if self.column:
            return (self,)
        return tuple(self._about(name) for name in fitting("for_each_column", self.for_each_column, columns))

    def named(self) -> tuple[Self, ...]:
        """One rule for each column that is named."""
        require_names("for_each_column", self.for_each_column)
        return self.each(self.for_each_column)

    def _about(self, column: str) -> Self:
        named = f"{self.name}_{column}" if self.name else ""
        return self.model_copy(update={"column": column, "for_each_column": (), "name": named})
