"""What changed from one profile of a table to the next, as far as it is worth a look."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from flowforge_checks.distances import by_chance, stability_index
from flowforge_checks.profile.columns import QUANTILES
from flowforge_checks.profile.shown import quartiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowforge_checks.profile.columns import ColumnProfile, Profile

_QUARTILES = (1, 2, 3)


class DriftLimits(BaseModel):
    """How much a column may change from one profile to the next."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    null_rate: float = Field(default=0.05, ge=0, description="Change of the share of nulls, from 0 to 1.")
    distinct_percent: float = Field(default=50.0, ge=0, description="Change of the number of distinct values.")
    quantile_shift: float = Field(
        default=0.25,
        ge=0,
        description="Shift of a quartile, as a part of the way from the 5 % to the 95 % quantile before.",
    )
    psi: float = Field(
        default=0.25,
        gt=0,
        description="Population stability index of the values, of those that are kept of them: above 0.25 is called a shift. Less than chance makes of so few rows is never reported.",
    )
    new_categories: int = Field(default=0, ge=0, description="Values more, of a column with at most ten.")
    vanished_categories: int = Field(default=0, ge=0, description="Values fewer, of a column with at most ten.")


@dataclass(frozen=True)
class Drift:
    """One thing that changed, in words."""

    column: str
    what: str
    before: str
    now: str

    def row(self) -> dict[str, str]:
        """For a table."""
        return {"column": self.column, "what": self.what, "before": self.before, "now": self.now}


def drift_between(before: Profile, now: Profile, limits: DriftLimits) -> list[Drift]:
    """Every change beyond the limits; columns in the order of the table."""
    known = {column.name: column for column in before.columns}
    there = {column.name for column in now.columns}
    found = [Drift(name, "column is gone", known[name].type, "") for name in known if name not in there]
    for column in now.columns:
        old = known.get(column.name)
        found += (
            [Drift(column.name, "column is new", "", column.type)] if old is None else _of_column(old, column, limits)
        )
    return found


def _of_column(old: ColumnProfile, new: ColumnProfile, limits: DriftLimits) -> Iterator[Drift]:
    name = new.name
    if old.type != new.type:
        yield Drift(name, "type", old.type, new.type)
        return
    if not old.rows or not new.rows:
        return
    if abs(new.null_rate - old.null_rate) > limits.null_rate:
        yield Drift(name, "null rate", f"{old.null_rate:.2%}", f"{new.null_rate:.2%}")
    if old.distinct and abs(new.distinct - old.distinct) / old.distinct * 100 > limits.distinct_percent:
        yield Drift(name, "distinct values", f"{old.distinct:,}", f"{new.distinct:,}")
    yield from _quantiles(old, new, limits)
    yield from _stability(old, new, limits)
    if old.top_is_all and new.top_is_all:
        yield from _categories(old, new, limits)


def _quantiles(old: ColumnProfile, new: ColumnProfile, limits: DriftLimits) -> Iterator[Drift]:
    if not old.quantiles or not new.quantiles:
        return
    span = old.quantiles[-1] - old.quantiles[0]
    shifts = [abs(new.quantiles[one] - old.quantiles[one]) for one in _QUARTILES]
    if max(shifts) > limits.quantile_shift * span:
        yield Drift(new.name, "quartiles", quartiles(old), quartiles(new))


def _stability(old: ColumnProfile, new: ColumnProfile, limits: DriftLimits) -> Iterator[Drift]:
    before, now = _by_value(old, new) if old.top_is_all and new.top_is_all else _by_quarter(old, new)
    if len(before) < 2 or not sum(before) or not sum(now):  # noqa: PLR2004  # one bin holds all of both
        return
    index = stability_index(before, now)
    if index > limits.psi and index > by_chance(len(before), sum(before), sum(now)):
        yield Drift(new.name, "population stability index", "", f"{index:.3g}, above {limits.psi:g}")


def _by_value(old: ColumnProfile, new: ColumnProfile) -> tuple[list[float], list[float]]:
    """Rows of each value, before and now."""
    before, now = dict(old.top), dict(new.top)
    every = sorted(before.keys() | now.keys())
    return [before.get(one, 0) for one in every], [now.get(one, 0) for one in every]


def _by_quarter(old: ColumnProfile, new: ColumnProfile) -> tuple[list[float], list[float]]:
    """Rows between the earlier quartiles, before and now; none where they are not known.

    Now along straight lines between the quantiles, which errs by some hundredths of the index. Quarters, not the outer
    twentieths too: there lines err as much as they measure. A value so frequent that quantiles meet in it parts nothing.
    """
    if not old.quantiles or not new.quantiles:
        return [], []
    known = [(old.quantiles[one], QUANTILES[one]) for one in _QUARTILES if old.quantiles.count(old.quantiles[one]) == 1]
    return (
        _between([share for _, share in known], sum(old.histogram)),
        _between([_share_below(value, new.quantiles) for value, _ in known], sum(new.histogram)),
    )


def _between(shares_below: Sequence[float], rows: int) -> list[float]:
    return [(high - low) * rows for low, high in pairwise((0.0, *shares_below, 1.0))]


def _share_below(value: float, quantiles: Sequence[float]) -> float:
    """The share of values up to one, along straight lines between the quantiles; beyond the outermost nothing is known."""
    place = bisect_right(quantiles, value)
    if place in (0, len(quantiles)):
        return QUANTILES[0] if place == 0 else QUANTILES[-1]
    low, high = quantiles[place - 1 : place + 1]
    below, above = QUANTILES[place - 1 : place + 1]
    return below + (value - low) / (high - low) * (above - below)


def _categories(old: ColumnProfile, new: ColumnProfile, limits: DriftLimits) -> Iterator[Drift]:
    before, now = {value for value, _ in old.top}, {value for value, _ in new.top}
    if len(now - before) > limits.new_categories:
        yield Drift(new.name, "new values", "", ", ".join(sorted(now - before)))
    if len(before - now) > limits.vanished_categories:
        yield Drift(new.name, "vanished values", ", ".join(sorted(before - now)), "")
