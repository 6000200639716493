"""Categorical cross-entropy on probabilities, in plain array code. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels._reference.rows import one_hot, weigh
from dnnkit.kernels.array import Array, Namespace

CLIP = 1e-7


def loss_and_gradient(
    predictions: Array, targets: Array, weights: Array | None, scale: float, xp: Namespace = np
) -> tuple[Array, Array]:
    """Return the weighted sum of the rows' losses, and `scale` times its gradient with respect to the predictions."""
    t = one_hot(targets, predictions, xp)
    p = xp.maximum(predictions, xp.asarray(CLIP, dtype=predictions.dtype))
    rows = -xp.sum(t * xp.log(p), axis=1)
    gradient = -t / p * xp.astype(predictions > CLIP, predictions.dtype) * scale
    return weigh(rows, gradient, weights, xp)
