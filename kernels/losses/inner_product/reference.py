"""Inner product, in plain array code; the oracle in float64. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels._reference.rows import weigh
from dnnkit.kernels.array import Array, Namespace


def loss_and_gradient(
    predictions: Array, targets: Array, weights: Array | None, scale: float, xp: Namespace = np
) -> tuple[Array, Array]:
    """Return the weighted sum of the rows' losses, and `scale` times its gradient with respect to the predictions."""
    return weigh(xp.sum(predictions * targets, axis=1), targets * scale, weights, xp)
