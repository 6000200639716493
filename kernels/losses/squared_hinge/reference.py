"""Squared hinge loss, in plain array code, written by dnnkit.formula.write_losses."""

import numpy as np

from dnnkit.kernels._reference.rows import weigh
from dnnkit.kernels.array import Array, Namespace


def loss_and_gradient(
    predictions: Array, targets: Array, weights: Array | None, scale: float, xp: Namespace = np
) -> tuple[Array, Array]:
    """Weighted sum of the rows' losses, and `scale` times its gradient in the predictions."""
    losses, slopes = _element(predictions, targets, xp)
    outputs = predictions.shape[1]
    rows = xp.sum(losses, axis=1) / outputs
    return weigh(rows, slopes * (scale / outputs), weights, xp)


def _element(y: Array, t: Array, xp: Namespace) -> tuple[Array, Array]:
    """The loss of each output, and its derivative by the prediction."""
    with np.errstate(all="ignore"):  # of branches that are not taken
        v0 = t - 0.5
        v1 = v0 < 0.0
        v2 = xp.where(v1, xp.full_like(y, -1.0), xp.full_like(y, 0.0))
        v3 = v0 > 0.0
        v4 = xp.where(v3, xp.full_like(y, 1.0), v2)
        v5 = v4 * y
        v6 = 1.0 - v5
        v7 = v6 < 0.0
        v8 = xp.where(v7, xp.full_like(y, 0.0), v6)
        v9 = v8 * v8
        v10 = v5 < 1.0
        v11 = -v4
        v12 = xp.where(v10, v11, xp.full_like(y, 0.0))
        v13 = v8 * v12
        v14 = v13 * 2.0
    return v9, v14
