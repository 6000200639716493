"""Binary accuracy, in plain array code. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels._reference.rows import one_hot
from dnnkit.kernels.array import Array, Namespace


def rows(scores: Array, targets: Array, threshold: float, xp: Namespace = np) -> Array:
    """Return the fraction of each row's outputs on the right side of the threshold; float64 (B,)."""
    right = (scores > threshold) == (one_hot(targets, scores, xp) > 0.5)
    return xp.mean(xp.astype(right, xp.float64), axis=1)
