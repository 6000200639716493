"""Sum of squared errors, in plain array code; the oracle in float64. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels._reference.rows import weigh
from dnnkit.kernels.array import Array, Namespace


def loss_and_gradient(
    predictions: Array, targets: Array, weights: Array | None, scale: float, xp: Namespace = np
) -> tuple[Array, Array]:
    """Return the weighted sum of the rows' losses, and `scale` times its gradient with respect to the predictions."""
    difference = predictions - targets
    rows = xp.sum(difference * difference, axis=1) * 0.5
    return weigh(rows, difference * scale, weights, xp)
