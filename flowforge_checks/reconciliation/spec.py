"""What is compared, as declared: two sides, measures of each, tolerances. Holds no data logic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from collections.abc import Iterable

MeasureKind = Literal["row_count", "sum", "distinct_count", "min", "max", "key_set", "diff"]
OF_ROWS = ("key_set", "diff")
OF_COLUMNS = ("sum", "distinct_count", "min", "max")
PERSONAL = "(personal data)"


class Pair(BaseModel):
    """A column of both sides; or what stands for it on each, as SQL."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str | None = Field(default=None, description="The column, where both sides have it under one name.")
    left: str | None = Field(default=None, description="SQL for it on the left side. Default: the column.")
    right: str | None = Field(default=None, description="SQL for it on the right side. Default: the column.")

    @model_validator(mode="after")
    def _check_both_sides(self) -> Pair:
        self._require_both()
        return self

    def _require_both(self) -> None:
        if self.column is None and (self.left is None or self.right is None):
            raise ValueError("Name a `column`, or say `left` and `right`.")

    @property
    def label(self) -> str:
        """What people call it."""
        return self.column or str(self.right)


class Tolerant(Pair):
    """A pair whose values may differ a little: by `tolerance`, or by `tolerance_percent` of the left one."""

    tolerance: float | None = Field(default=None, ge=0, description="Difference that is let pass.")
    tolerance_percent: float | None = Field(
        default=None, ge=0, description="Difference that is let pass, in percent of the left value."
    )

    def allowed(self, left: float, default: tuple[float, float]) -> float:
        """The largest difference that passes."""
        tolerance = default[0] if self.tolerance is None else self.tolerance
        percent = default[1] if self.tolerance_percent is None else self.tolerance_percent
        return max(tolerance, abs(left) * percent / 100)


class Measure(Tolerant):
    """Something both sides must agree on."""

    measure: MeasureKind = Field(
        description="`row_count`, `sum`, `distinct_count`, `min` and `max` compare what the sides add up to; `key_set` the keys there are; `diff` every row by its key."
    )

    def _require_both(self) -> None:
        if self.measure in OF_COLUMNS:
            super()._require_both()
        elif self.column or self.left or self.right:
            raise ValueError(f"`{self.measure}` is about rows and takes no column.")

    @property
    def label(self) -> str:
        """As it is shown."""
        return f"{self.measure}({self.column or self.right})" if self.measure in OF_COLUMNS else self.measure


def pairs(written: Iterable[object]) -> tuple[Pair, ...]:
    """Columns as written: by name, or what stands for them on each side."""
    return tuple(Pair.model_validate({"column": one} if isinstance(one, str) else one) for one in written)


def tolerant(written: Iterable[object]) -> tuple[Tolerant, ...]:
    """The same, with tolerances."""
    return tuple(Tolerant.model_validate({"column": one} if isinstance(one, str) else one) for one in written)


def measures(written: Iterable[object]) -> tuple[Measure, ...]:
    """Measures as written: by name, or with what they take."""
    return tuple(Measure.model_validate({"measure": one} if isinstance(one, str) else one) for one in written)


@dataclass(frozen=True)
class Reconciliation:
    """What two sides must agree on.

    `wheres`: conditions on the rows of the left and of the right side. `compare`: columns of a `diff`; empty for all
    that both sides have. `tolerance`: for sums and the like, absolute and in percent, unless a measure says its own.
    `hidden`: columns whose values are never shown; `hides_all`: none is.
    """

    workflow: str
    name: str
    measures: tuple[Measure, ...]
    keys: tuple[Pair, ...] = ()
    compare: tuple[Tolerant, ...] = ()
    group_by: tuple[Pair, ...] = ()
    wheres: tuple[str, str] = ("TRUE", "TRUE")
    tolerance: tuple[float, float] = (0.0, 0.0)
    warns: bool = False
    blocks: bool = False
    hidden: frozenset[str] = frozenset()
    hides_all: bool = False

    def hides(self, pair: Pair) -> bool:
        """Whether values of a pair are personal, as far as names tell."""
        said = f"{pair.column or ''} {pair.left or ''} {pair.right or ''}".lower()
        words = set("".join(char if char.isalnum() or char == "_" else " " for char in said).split())
        return self.hides_all or any(name.lower() in words or f'"{name.lower()}"' in said for name in self.hidden)
