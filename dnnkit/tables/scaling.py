"""Scaling of numbers: by median and quartiles, or by mean and standard deviation.

The robust scaling and its smooth clipping are RealMLP's: Holzmüller, Grinsztajn, Steinwart, "Better by Default:
Strong Pre-Tuned MLPs and Boosted Trees on Tabular Data", NeurIPS 2024.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dnnkit.deferred import dataclass

Scale: TypeAlias = tuple[float, float]
"""Center and factor: (x - center) * factor."""

LARGEST = 1e100
"""Scaled values are limited to this magnitude so that no square overflows."""
LARGEST_FACTOR = 1e307
ROWS = 2048
"""Rows that are scaled at a time, so that they stay in the cache."""


@dataclass(frozen=True)
class Scaling:
    """A method of scaling.

    Attributes:
        fit: returns center and factor of a non-empty array of finite values.
        is_clipped: whether scaled values are smoothly clipped to (-3, 3).
    """

    fit: Callable[[NDArray[np.float64]], Scale]
    is_clipped: bool


def _factor(spread: float) -> float:
    """Return 1 / (2 * spread); 0 for constant values, so that the feature is constant."""
    return 0.0 if spread == 0 else min(0.5 / spread, LARGEST_FACTOR)


def _robust(values: NDArray[np.float64]) -> Scale:
    """Scale by the median and the interquartile range; by half the range if the quartiles are equal."""
    halves = values / 2  # differences cannot overflow
    low, center, high = np.quantile(halves, (0.25, 0.5, 0.75))
    spread = high - low
    if spread == 0:
        spread = (halves.max() - halves.min()) / 2
    return 2 * float(center), _factor(float(spread))


def standard(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return mean and standard deviation (exactly 0 for constant values) without overflow."""
    largest = max(abs(float(values.max())), abs(float(values.min()))) or 1.0
    small = values / largest
    center = float(small.mean())
    if values.min() == values.max():
        return float(values[0]), 0.0
    return center * largest, float(np.sqrt(np.mean((small - center) ** 2))) * largest


def _standard(values: NDArray[np.float64]) -> Scale:
    center, spread = standard(values)
    return center, _factor(spread / 2)


SCALINGS = {
    "robust": Scaling(_robust, is_clipped=True),
    "standard": Scaling(_standard, is_clipped=False),
    "none": Scaling(lambda values: (0.0, 1.0), is_clipped=False),
}


def write_scaled(values: NDArray[Any], scales: NDArray[np.float64], scaling: Scaling, out: NDArray[Any]) -> None:
    """Scale columns; NaN becomes 0.

    Arguments:
        values: (N, M).
        scales: (M, 2), center and factor of each column.
        scaling: the method, which says whether to clip.
        out: (N, M), written.
    """
    centers, factors = np.ascontiguousarray(scales.T)
    with np.errstate(over="ignore", invalid="ignore"):
        for first in range(0, len(values), ROWS):
            part = slice(first, first + ROWS)
            scaled = values[part] - centers
            scaled *= factors
            if scaling.is_clipped:
                np.clip(scaled, -LARGEST, LARGEST, out=scaled)
                scaled /= np.sqrt(1 + np.square(scaled / 3))
            missing = np.isnan(scaled)
            if missing.any():
                scaled[missing] = 0
            out[part] = scaled
