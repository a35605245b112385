"""How far two distributions are from each other, of counts in the same bins. Only formulas; who counts is elsewhere."""

from __future__ import annotations

from math import log, sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# The share an empty bin counts with, so that the index stays finite.
_EMPTY_SHARE = 1e-4
# The 0.999 quantile of the standard normal distribution.
_Z_999 = 3.0902


def cramers_v(before: Sequence[float], now: Sequence[float]) -> float:
    """The square root of the chi-square of two counts of the same bins over the number of rows.

    0 for equal shares, 1 where no bin has rows of both; 0 where one side has no row.
    """
    rows, was, became = sum(before) + sum(now), sum(before), sum(now)
    if not was or not became:
        return 0.0
    bins = [(a, b) for a, b in zip(before, now, strict=True) if a or b]
    expected = [(a, (a + b) * was / rows, b, (a + b) * became / rows) for a, b in bins]
    return sqrt(sum((a - e) ** 2 / e + (b - f) ** 2 / f for a, e, b, f in expected) / rows)


def stability_index(before: Sequence[float], now: Sequence[float]) -> float:
    """The population stability index of two counts of the same bins: the sum of (b - a) * ln(b / a) over their shares.

    Zero for equal shares, without an upper limit; 0 where one side has no row.
    """
    if not sum(before) or not sum(now):
        return 0.0
    shares = [
        (max(a / sum(before), _EMPTY_SHARE), max(b / sum(now), _EMPTY_SHARE)) for a, b in zip(before, now, strict=True)
    ]
    return sum((b - a) * log(b / a) for a, b in shares)


def average_of(samples: Sequence[Sequence[float]]) -> Sequence[float]:
    """Counts of one sample that stands for several: each bin's share is the mean of theirs, its size their mean size.

    A sample without a row says nothing and is left out.
    """
    sizes = [sum(one) for one in samples]
    filled = [(one, size) for one, size in zip(samples, sizes, strict=True) if size]
    if len(filled) < 2:  # noqa: PLR2004  # nothing to average; whole numbers stay whole
        return filled[0][0] if filled else samples[0]
    scale = sum(sizes) / len(filled) ** 2
    return [
        sum(part / size for part, (_, size) in zip(parts, filled, strict=True)) * scale
        for parts in zip(*(one for one, _ in filled), strict=True)
    ]


def by_chance(bins: int, was: float, became: float) -> float:
    """What the stability index of two samples of one distribution stays below in 999 of 1,000 cases, by their sizes.

    It is (1 / was + 1 / became) times a chi-square of `bins - 1` degrees of freedom (Yurdakul, Statistical Properties of
    Population Stability Index, 2018), whose quantile is taken by the approximation of Wilson and Hilferty.
    """
    freedom = bins - 1
    spread = 2 / (9 * freedom)
    return (1 / was + 1 / became) * freedom * (1 - spread + _Z_999 * sqrt(spread)) ** 3
