"""Class outcomes, in plain array code. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels._reference.rows import outcomes
from dnnkit.kernels.array import Array, Namespace


def sums(scores: Array, targets: Array, weights: Array | None, threshold: float, xp: Namespace = np) -> Array:
    """Return weighted counts of true positives, of predicted and of actual members, per class; float64 (3 C,)."""
    classes = xp.arange(scores.shape[1])[None, :]
    labels = xp.argmax(targets, axis=1) if targets.ndim == 2 else xp.astype(targets, xp.int64)
    return outcomes(xp.argmax(scores, axis=1)[:, None] == classes, labels[:, None] == classes, weights, xp)
