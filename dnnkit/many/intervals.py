"""Confidence intervals of the mean of a few numbers: scores of folds, seeds, or random splits."""

from collections.abc import Sequence
from functools import cache
from math import cos, isfinite, nan, pi, sin, sqrt, tan
from statistics import NormalDist

import numpy as np

from dnnkit.deferred import dataclass

LEVEL = 0.95
NEARLY_NORMAL = 1000
"""Degrees of freedom above which Student's t is approximated by the normal distribution: 1.9600 instead of 1.9623."""


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval; the ends are NaN for a single number, whose spread is unknown."""

    mean: float
    low: float
    high: float

    @property
    def reach(self) -> float:
        """Half the width of the interval: mean ± reach."""
        return (self.high - self.low) / 2

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


def interval_of_mean(values: Sequence[float], share: float = 0.0, level: float = LEVEL) -> Interval:
    """Return the mean of values with Student's interval, corrected for networks with shared training rows.

    Folds share most of their training rows, so their scores are correlated and vary less than scores on new data
    would. The variance of the mean is s² (1/n + share) instead of s²/n.

    Arguments:
        values: at least one.
        share: ratio of held-out rows to training rows, 1/4 for 5 folds; 0 if all values have the same training rows
            and differ only in the seed.
        level: confidence level.

    Source: C. Nadeau, Y. Bengio, Inference for the generalization error, 2003; for repeated folds, R. Bouckaert,
    E. Frank, 2004.
    """
    numbers = np.asarray(values, np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        mean = float(numbers.mean())
        spread = float(numbers.std(ddof=1)) if len(numbers) > 1 else nan
    if not isfinite(spread):
        return Interval(mean, nan, nan)
    reach = student(len(numbers) - 1, level) * spread * sqrt(1 / len(numbers) + share)
    return Interval(mean, mean - reach, mean + reach)


@cache
def student(freedom: int, level: float = LEVEL) -> float:
    """Return the t that |T| with `freedom` degrees of freedom exceeds with probability 1 - level.

    Source: M. Abramowitz, I. Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4: exact for integers.
    """
    if freedom > NEARLY_NORMAL:
        return NormalDist().inv_cdf((1 + level) / 2)
    low, high = 0.0, pi / 2
    for _ in range(60):
        angle = (low + high) / 2
        low, high = (angle, high) if _within(angle, freedom) < level else (low, angle)
    angle = (low + high) / 2
    return sqrt(freedom) * tan(angle)


def _within(angle: float, freedom: int) -> float:
    """Return the probability that |T| is at most √freedom · tan(angle)."""
    is_odd = freedom % 2
    term = total = 0.0 if freedom == 1 else cos(angle) if is_odd else 1.0
    for number in range(2 if is_odd else 1, freedom - 2, 2):
        term *= number / (number + 1) * cos(angle) ** 2
        total += term
    return 2 / pi * (angle + sin(angle) * total) if is_odd else sin(angle) * total
