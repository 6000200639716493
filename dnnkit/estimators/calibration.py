"""Temperature scaling: calibrate probabilities on held-out rows."""

from math import exp, log

import numpy as np
from numpy.typing import NDArray

LIMITS = 1 / 20, 20.0
"""Range in which the temperature is searched."""


def temperature_of(
    probabilities: NDArray[np.floating], y: NDArray[np.integer], weights: NDArray[np.floating] | None = None
) -> float:
    """Return the temperature T for which softmax(log p / T) has the smallest mean cross-entropy.

    A pseudo-row in which every class is equally likely is added, so that a minimum exists even if every row is
    predicted correctly. The objective is convex in 1 / T; the zero of its derivative is found by bisection.

    Arguments:
        probabilities: (N, C), the members' predictions; a row's sum may be any number above 0.
        y: true classes (N,), from 0 to C - 1.
        weights: weight of each row (N,); None for equal weights.

    Returns:
        T, from 1/20 to 20; above 1 where the probabilities are overconfident, 1 without any rows.

    Source: C. Guo, G. Pleiss, Y. Sun, K. Weinberger, On calibration of modern neural networks, ICML 2017.
    """
    rows = len(probabilities)
    counts = np.ones(rows) if weights is None else np.asarray(weights, np.float64)
    total = counts.sum()
    if not total > 0:
        return 1.0
    tiny = np.finfo(probabilities.dtype).tiny
    logits = np.log(np.maximum(probabilities, tiny).astype(np.float64))
    logits -= logits.max(axis=1, keepdims=True)
    share = 1 / (total / counts.mean() + 1)  # weight of the pseudo-row, spread over all rows
    wanted = (1 - share) * logits[np.arange(rows), y] + share * logits.mean(axis=1)

    def slope(sharpness: float) -> float:
        powers = np.exp(sharpness * logits)
        expected = (powers * logits).sum(axis=1) / powers.sum(axis=1)
        return float(counts @ (expected - wanted))

    low, high = log(1 / LIMITS[1]), log(1 / LIMITS[0])
    if slope(exp(low)) >= 0:
        return LIMITS[1]
    if slope(exp(high)) <= 0:
        return LIMITS[0]
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if slope(exp(middle)) < 0 else (low, middle)
    return exp(-(low + high) / 2)


def as_classes(probabilities: NDArray[np.floating]) -> NDArray[np.floating]:
    """Convert M probabilities of "yes", of any shape, to (M, 2) probabilities of "no" and "yes"."""
    yes = probabilities.reshape(-1, 1)
    return np.concatenate([1 - yes, yes], axis=1)
