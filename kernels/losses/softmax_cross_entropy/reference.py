"""Softmax cross-entropy, in plain array code; the oracle in float64. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels._reference.rows import one_hot, weigh
from dnnkit.kernels.array import Array, Namespace


def loss_and_gradient(
    logits: Array, targets: Array, weights: Array | None, scale: float, xp: Namespace = np
) -> tuple[Array, Array]:
    """Return the weighted sum of the rows' losses and `scale` times its gradient with respect to the logits."""
    t = one_hot(targets, logits, xp)
    shifted = logits - xp.max(logits, axis=1, keepdims=True)
    exponentials = xp.exp(shifted)
    total = xp.sum(exponentials, axis=1, keepdims=True)
    rows = xp.sum(t * (xp.log(total) - shifted), axis=1)
    gradient = (exponentials / total * xp.sum(t, axis=1, keepdims=True) - t) * scale
    return weigh(rows, gradient, weights, xp)
