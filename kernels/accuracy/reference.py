"""Accuracy, in plain array code. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels.array import Array, Namespace


def categorical(scores: Array, targets: Array, weights: Array | None, xp: Namespace = np) -> Array:
    """Weighted number of rows whose largest score is that of their class."""
    labels = xp.argmax(targets, axis=1) if targets.ndim == 2 else targets
    return _total(xp.argmax(scores, axis=1) == labels, weights, xp)


def binary(scores: Array, targets: Array, weights: Array | None, threshold: float, xp: Namespace = np) -> Array:
    """Weighted share of outputs on the right side of the threshold, summed over rows."""
    right = (scores > threshold) == (targets > 0.5)
    return _total(xp.mean(xp.astype(right, xp.float64), axis=1), weights, xp)


def _total(right: Array, weights: Array | None, xp: Namespace) -> Array:
    rows = xp.astype(right, xp.float64)
    return xp.sum(rows if weights is None else rows * xp.astype(weights, xp.float64))
