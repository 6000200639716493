"""Kullback-Leibler divergence, in plain array code, written by dnnkit.formula.write_losses."""

import numpy as np

from dnnkit.kernels._reference.rows import weigh
from dnnkit.kernels.array import Array, Namespace


def loss_and_gradient(
    predictions: Array, targets: Array, weights: Array | None, scale: float, xp: Namespace = np
) -> tuple[Array, Array]:
    """Weighted sum of the rows' losses, and `scale` times its gradient in the predictions."""
    losses, slopes = _element(predictions, targets, xp)
    rows = xp.sum(losses, axis=1)
    return weigh(rows, slopes * scale, weights, xp)


def _element(y: Array, t: Array, xp: Namespace) -> tuple[Array, Array]:
    """The loss of each output, and its derivative by the prediction."""
    with np.errstate(all="ignore"):  # of branches that are not taken
        v0 = y < 1e-07
        v1 = xp.where(v0, xp.full_like(y, 1e-07), y)
        v2 = 1.0 / v1
        v3 = t < 1e-30
        v4 = xp.where(v3, xp.full_like(y, 1e-30), t)
        v5 = v2 * v4
        v6 = xp.log(v5)
        v7 = t * v6
        v8 = y > 1e-07
        v9 = xp.where(v8, xp.full_like(y, 1.0), xp.full_like(y, 0.0))
        v10 = v2 * t
        v11 = v10 * v9
        v12 = -v11
    return v7, v12
