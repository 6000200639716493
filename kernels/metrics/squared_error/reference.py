"""Squared error, in plain array code. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels._reference.rows import one_hot
from dnnkit.kernels.array import Array, Namespace


def rows(scores: Array, targets: Array, threshold: float, xp: Namespace = np) -> Array:
    """Return the mean of (y - t)² over each row's outputs; float64 (B,)."""
    errors = xp.astype(scores, xp.float64) - xp.astype(one_hot(targets, scores, xp), xp.float64)
    return xp.mean(errors * errors, axis=1)
