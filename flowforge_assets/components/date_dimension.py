"""The YAML of a date dimension: which days, in which words."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from flowforge_assets.components.gold_part import GoldPart
from flowforge_assets.components.part import AsWritten, as_written
from flowforge_assets.gold.date_dimension import COLUMNS, ENGLISH, KEY_COLUMN, MONTH_NAMES, WEEKDAY_NAMES, Calendar
from flowforge_assets.gold.model_spec import ModelSpec
from flowforge_resources.errors import did_you_mean
from flowforge_resources.layout import ModelId, TableId

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowforge_assets.components.known import KnownTables

MONTHS, WEEKDAYS, LARGEST_MONTH = 12, 7, 12
_DATES = ("DATE", "TIMESTAMP")


class DateDimension(GoldPart):
    """A gold table with one row a day and the unknown member -1; needs no SQL."""

    first_day: Annotated[AsWritten[date] | None, as_written(date | None)] = Field(
        default=None, description="First day it must have. Default: the earliest in `covers`.", examples=["2020-01-01"]
    )
    last_day: Annotated[AsWritten[date] | None, as_written(date | None)] = Field(
        default=None, description="Last day it must have. Default: the latest in `covers`."
    )
    covers: list[str] = Field(
        default=[],
        description="Date columns, as `table.column`, whose earliest and latest day set the bound that is not given.",
        examples=[["orders.order_date"]],
    )
    whole_years: bool = Field(default=True, description="Whether it goes on to whole fiscal years at both ends.")
    fiscal_year_starts: int = Field(
        default=1,
        ge=1,
        le=LARGEST_MONTH,
        description="Month in which the fiscal year starts; it is named by the year it ends in.",
    )
    week_starts: Literal["monday", "sunday"] = Field(
        default="monday",
        description="First day of `weekday_number` and `first_day_of_week`; `iso_week` is always ISO's.",
    )
    language: str = Field(
        default=ENGLISH, description=f"Of the names of months and days: {', '.join(sorted(MONTH_NAMES))}."
    )
    month_names: list[str] = Field(default=[], description="Twelve names, in place of the language's.")
    weekday_names: list[str] = Field(default=[], description="Seven names from Monday on, in place of the language's.")
    columns: list[str] = Field(
        default=list(COLUMNS), description=f"Which columns it has, `{KEY_COLUMN}` (a number, 20260131) among them."
    )

    @property
    def unknown_key(self) -> str:
        """Every date dimension has an unknown member."""
        return KEY_COLUMN

    def spec(self, known: KnownTables) -> ModelSpec:
        """The table as the factory takes it.

        Raises:
            DefinitionError: no days, days in the wrong order, or a name that is not known.
        """
        self._require_bounds()
        self._require_columns()
        covers = tuple(self._covered(one) for one in self.covers)
        calendar = Calendar(
            first=self.first_day,
            last=self.last_day,
            covers=covers if self.first_day is None or self.last_day is None else (),
            whole_years=self.whole_years,
            fiscal_year_starts=self.fiscal_year_starts,
            week_starts=self.week_starts,
            month_names=self._names("month_names", self.month_names, MONTH_NAMES, MONTHS),
            weekday_names=self._names("weekday_names", self.weekday_names, WEEKDAY_NAMES, WEEKDAYS),
            columns=tuple(self.columns),
        )
        reads = self.reads({table for table, _ in calendar.covers}, known, "`covers`")
        for table, column in calendar.covers:
            self._require_date(table, column, reads[table], known)
        return ModelSpec(
            id=ModelId(self.workflow, self.name),
            sql=calendar.sql(),
            sql_file=self.stands_at,
            keys=(KEY_COLUMN,),
            unknown_member=KEY_COLUMN,
            foreign_keys=(),
            pii=frozenset(),
            reads=reads,
        )

    def _require_date(self, table: str, column: str, read: TableId | ModelId, known: KnownTables) -> None:
        """A silver column is there and holds dates; those of models are known only when all models are."""
        columns = known.columns(read) if isinstance(read, TableId) else None
        if columns is None:
            return
        if column not in columns:
            raise self.wrong(
                f"`covers: {table}.{column}` names a column that '{table}' does not have.{did_you_mean(column, columns)}",
                "Correct the name.",
            )
        if not columns[column].startswith(_DATES):
            raise self.wrong(
                f"`covers: {table}.{column}` is {columns[column]}, not a date.", "Declare the column as a date."
            )

    def _require_bounds(self) -> None:
        if (self.first_day is None or self.last_day is None) and not self.covers:
            raise self.wrong(
                f"date dimension '{self.name}' does not say which days it has.",
                "Give `first_day` and `last_day`, or name columns in `covers`, e.g. [orders.order_date].",
            )
        if self.first_day is not None and self.last_day is not None and self.last_day < self.first_day:
            raise self.wrong(
                f"date dimension '{self.name}' ends on {self.last_day}, before it begins on {self.first_day}.",
                "Exchange the two.",
            )

    def _require_columns(self) -> None:
        for name in self.columns:
            if name not in COLUMNS:
                raise self.wrong(
                    f"date dimension '{self.name}' has no column '{name}' to offer.{did_you_mean(name, COLUMNS)}",
                    f"There are: {', '.join(COLUMNS)}.",
                )
        if KEY_COLUMN not in self.columns:
            raise self.wrong(f"date dimension '{self.name}' leaves out its key.", f"Add `{KEY_COLUMN}` to `columns`.")

    def _covered(self, written: str) -> tuple[str, str]:
        table, _, column = written.rpartition(".")
        if not table:
            raise self.wrong(f"`covers: {written}` names no column of a table.", "Write `table.column`.")
        return table, column

    def _names(
        self, field: str, given: Sequence[str], known: Mapping[str, tuple[str, ...]], count: int
    ) -> tuple[str, ...]:
        if given and len(given) != count:
            raise self.wrong(f"`{field}` has {len(given)} names.", f"Write {count}.")
        if not given and self.language not in known:
            raise self.wrong(
                f"`language: {self.language}` is not known.{did_you_mean(self.language, known)}",
                "Give `month_names` and `weekday_names` instead.",
            )
        return tuple(given) or known[self.language]
