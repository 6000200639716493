"""Sigmoid cross-entropy, in plain array code; the oracle in float64. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels._reference.rows import weigh
from dnnkit.kernels.activations.sigmoid import reference as sigmoid
from dnnkit.kernels.array import Array, Namespace


def loss_and_gradient(
    logits: Array, targets: Array, weights: Array | None, scale: float, xp: Namespace = np
) -> tuple[Array, Array]:
    """Return the weighted sum of the rows' losses and `scale` times its gradient with respect to the logits."""
    outputs = logits.shape[1]
    terms = xp.maximum(logits, xp.zeros_like(logits)) - logits * targets + xp.log1p(xp.exp(-xp.abs(logits)))
    rows = xp.sum(terms, axis=1) / outputs
    gradient = (sigmoid.forward(logits, xp=xp) - targets) * (scale / outputs)
    return weigh(rows, gradient, weights, xp)
