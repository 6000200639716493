"""Calibration: one temperature for all probabilities, found on rows that members were not trained on."""

from math import exp, log

import numpy as np
from numpy.typing import NDArray

LIMITS = 1 / 20, 20.0
"""Between which a temperature is sought."""


def temperature_of(
    probabilities: NDArray[np.floating], y: NDArray[np.integer], weights: NDArray[np.floating] | None = None
) -> float:
    """The temperature T at which softmax(log p / T) has the smallest mean -log of the true class's probability.

    One row more is counted, of which each class is equally true: so there is a smallest value even where every row is
    right. The objective is convex in 1 / T; its derivative's zero is found by bisection.

    Arguments:
        probabilities: (N, C), as the members give them; their sum over a row may be anything above 0.
        y: true classes (N,), from 0 to C - 1.
        weights: (N,), how much each row counts; None for all alike.

    Returns:
        T, from 1/20 to 20; above 1 where the probabilities are too sure, 1 without any rows.

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
    share = 1 / (total / counts.mean() + 1)  # of the row more, spread over all
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
    """(M, 2) of independent yes and no from probabilities of a yes, of any shape with M of them."""
    yes = probabilities.reshape(-1, 1)
    return np.concatenate([1 - yes, yes], axis=1)
