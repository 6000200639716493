"""Binary outcomes, in plain array code. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels._reference.rows import one_hot, outcomes
from dnnkit.kernels.array import Array, Namespace


def sums(scores: Array, targets: Array, weights: Array | None, threshold: float, xp: Namespace = np) -> Array:
    """Return weighted counts of true positives, of predicted and of actual positives, per output; float64 (3 K,)."""
    return outcomes(scores > threshold, one_hot(targets, scores, xp) > 0.5, weights, xp)
