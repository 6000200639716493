"""Variation of targets and errors, in plain array code. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels._reference.rows import one_hot, row_weights
from dnnkit.kernels.array import Array, Namespace


def sums(scores: Array, targets: Array, weights: Array | None, threshold: float, xp: Namespace = np) -> Array:
    """Return weighted sums over rows of t, t² and (y - t)², each per output; float64 (3 K,)."""
    t, w = xp.astype(one_hot(targets, scores, xp), xp.float64), row_weights(scores, weights, xp)
    errors = xp.astype(scores, xp.float64) - t
    return xp.concat([xp.sum(w * summand, axis=0) for summand in (t, t * t, errors * errors)])
