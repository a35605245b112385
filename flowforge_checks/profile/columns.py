"""What a profile holds: a table at one version, each column with what was found in it. As JSON, and back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class ColumnProfile:
    """One column. Of a personal one only its type and counts are known.

    `distinct` is approximate. `quantiles` are those of `QUANTILES`, of numbers and moments (as seconds since 1970).
    `histogram`: rows in equal parts of the way from `min` to `max`. `top` and `patterns`: (value, rows of the sample),
    most first; `top_is_all`: there are no other values. Letters of a pattern stand for letters, 9 for digits.
    """

    name: str
    type: str
    rows: int
    nulls: int
    distinct: int
    personal: bool = False
    min: str | None = None
    max: str | None = None
    mean: float | None = None
    quantiles: tuple[float, ...] = ()
    histogram: tuple[int, ...] = ()
    top: tuple[tuple[str, int], ...] = ()
    top_is_all: bool = False
    patterns: tuple[tuple[str, int], ...] = ()

    @property
    def null_rate(self) -> float:
        """From 0 to 1."""
        return self.nulls / self.rows if self.rows else 0.0


@dataclass(frozen=True)
class Profile:
    """A table at one version. `looked_at`: rows that were read, fewer than `rows` where it was sampled."""

    table: str
    version: str
    profiled_at: str
    rows: int
    looked_at: int
    seconds: float
    columns: tuple[ColumnProfile, ...]

    @property
    def sampled(self) -> bool:
        """Whether not every row was looked at."""
        return self.looked_at < self.rows

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def parse(cls, said: dict[str, Any]) -> Profile:
        """What `as_dict` wrote."""
        columns = tuple(_column(one) for one in said.pop("columns"))
        return cls(**said, columns=columns)


def _column(said: dict[str, Any]) -> ColumnProfile:
    pairs = {name: tuple((value, count) for value, count in said[name]) for name in ("top", "patterns")}
    lists = {name: tuple(said[name]) for name in ("quantiles", "histogram")}
    return ColumnProfile(**{**said, **pairs, **lists})
