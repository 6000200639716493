"""What samples say: medians and quartiles, outliers shown and not dropped, and when two medians differ."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from math import comb, exp, inf, isfinite, log
from typing import Any, Literal

import numpy as np

from dnnkit.deferred import dataclass

LEVEL = 0.95
DRAWS = 2000
NOISY = 0.05
"""Difference between identical code above which the machine is called noisy."""

Verdict = Literal["faster", "slower", "indistinguishable"]


@dataclass(frozen=True)
class Summary:
    """Median, quartiles and extremes; an outlier is more than 1.5 interquartile ranges outside the quartiles."""

    median: float
    low: float
    high: float
    least: float
    most: float
    outliers: int
    count: int

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def summarize(samples: Sequence[float]) -> Summary:
    """Of at least one number; a median that lies between a number and infinity is infinite."""
    low, middle, high = (_quantile(samples, share) for share in (0.25, 0.5, 0.75))
    reach = 1.5 * (high - low) if isfinite(high) else inf
    outliers = sum(not low - reach <= sample <= high + reach for sample in samples) if isfinite(reach) else 0
    return Summary(middle, low, high, min(samples), max(samples), outliers, len(samples))


def _quantile(samples: Sequence[float], share: float) -> float:
    """As NumPy's, but infinities do not become NaN."""
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
    """How many times as long b takes as a: the ratio of the medians, with its confidence interval."""

    value: float
    low: float
    high: float

    def verdict(self, noise: float) -> Verdict:
        """Whether b differs from a by more than chance and by more than identical code did (as a share, 0.03)."""
        if self.low > 1 and self.value > 1 + noise:
            return "slower"
        if self.high < 1 and self.value < 1 / (1 + noise):
            return "faster"
        return "indistinguishable"


def ratio(a: Sequence[float], b: Sequence[float], level: float = LEVEL, paired: bool = True) -> Ratio:
    """Bootstrap: rounds are drawn again and again, the same for both where they were measured in turn (`paired`).

    Unpaired samples may be too few for the level: if even the most extreme order of all is likelier by chance, the
    interval has no ends. Nor has it where one of them is a single sample, which says nothing of its spread.
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
    """The largest difference between medians of identical code, as a share: 0.02 for 2 percent; 0 without any pair."""
    differences = [abs(log(np.median(b) / np.median(a))) for a, b in pairs]
    return exp(max(differences, default=0.0)) - 1
