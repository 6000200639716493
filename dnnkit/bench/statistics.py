"""Statistics of samples: medians, quartiles and outliers, which are kept; and whether two medians differ."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from math import comb, exp, inf, isfinite, log
from typing import Any, Literal

import numpy as np

from dnnkit.deferred import dataclass

LEVEL = 0.95
DRAWS = 2000
NOISY = 0.05
"""Relative difference between runs of identical code above which the machine is considered noisy."""

Verdict = Literal["faster", "slower", "indistinguishable"]


@dataclass(frozen=True)
class Summary:
    """Median, quartiles and extremes; outliers are more than 1.5 interquartile ranges outside the quartiles."""

    median: float
    low: float
    high: float
    least: float
    most: float
    outliers: int
    count: int

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)


def summarize(samples: Sequence[float]) -> Summary:
    """Summarize at least one number; a median between a finite value and infinity is infinite."""
    low, middle, high = (_quantile(samples, share) for share in (0.25, 0.5, 0.75))
    reach = 1.5 * (high - low) if isfinite(high) else inf
    outliers = sum(not low - reach <= sample <= high + reach for sample in samples) if isfinite(reach) else 0
    return Summary(middle, low, high, min(samples), max(samples), outliers, len(samples))


def _quantile(samples: Sequence[float], share: float) -> float:
    """Return a quantile as NumPy does, but infinities do not become NaN."""
    ordered = sorted(samples)
    position = share * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    weight = position - below
    if weight == 0 or ordered[below] == ordered[above]:
        return float(ordered[below])
    return float(ordered[below] + weight * (ordered[above] - ordered[below]))


@dataclass(frozen=True)
class Ratio:
    """Ratio of b's median to a's, with its confidence interval."""

    value: float
    low: float
    high: float

    def verdict(self, noise: float) -> Verdict:
        """Return whether b differs from a by more than chance and by more than the relative noise."""
        if self.low > 1 and self.value > 1 + noise:
            return "slower"
        if self.high < 1 and self.value < 1 / (1 + noise):
            return "faster"
        return "indistinguishable"


def ratio(a: Sequence[float], b: Sequence[float], level: float = LEVEL, paired: bool = True) -> Ratio:
    """Return the ratio of medians with a bootstrap confidence interval; `paired` resamples rounds jointly.

    The interval is unbounded for a single sample, and for unpaired samples that are too few for the level: those for
    which even the most extreme order of all samples is more likely by chance.
    """
    first, second = np.asarray(a, float), np.asarray(b, float)
    value = float(np.median(second) / np.median(first))
    if min(len(first), len(second)) == 1:
        return Ratio(value, 0.0, inf)
    if not paired and 2 / comb(len(first) + len(second), len(first)) > 1 - level:
        return Ratio(value, 0.0, inf)
    rng = np.random.default_rng(0)
    one = rng.integers(0, len(first), (DRAWS, len(first)))
    other = one if paired and len(first) == len(second) else rng.integers(0, len(second), (DRAWS, len(second)))
    ratios = np.median(second[other], axis=1) / np.median(first[one], axis=1)
    low, high = np.quantile(ratios, ((1 - level) / 2, (1 + level) / 2))
    return Ratio(value, float(low), float(high))


def noise_of(pairs: Iterable[tuple[Sequence[float], Sequence[float]]]) -> float:
    """Return the largest relative difference between medians of identical code, 0.02 for 2 %; 0 without pairs."""
    differences = [abs(log(np.median(b) / np.median(a))) for a, b in pairs]
    return exp(max(differences, default=0.0)) - 1
