"""Gamma deviance, in plain array code, written by dnnkit.formula.write_losses."""

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
        v0 = y + 1e-07
        v1 = 1.0 / v0
        v2 = v1 * t
        v3 = v2 * 2.0
        v4 = xp.log(v2)
        v5 = v4 * 2.0
        v6 = v3 - v5
        v7 = v6 - 2.0
        v8 = v1 * 2.0
        v9 = t * 2.0
        v10 = v0 * v0
        v11 = v9 / v10
        v12 = v8 - v11
    return v7, v12
