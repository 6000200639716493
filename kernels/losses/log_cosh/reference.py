"""Log-cosh loss, in plain array code, written by dnnkit.formula.write_losses."""

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
        difference = y - t
        v0 = xp.abs(difference)
        v1 = v0 * -2.0
        v2 = xp.expm1(v1)
        v3 = xp.exp(v1)
        v4 = xp.log1p(v3)
        v5 = v0 + v4
        v6 = v5 - 0.6931471805599453
        v7 = difference < 0.0
        v8 = xp.where(v7, xp.full_like(y, -1.0), xp.full_like(y, 0.0))
        v9 = difference > 0.0
        v10 = xp.where(v9, xp.full_like(y, 1.0), v8)
        v11 = v2 * v10
        v12 = v2 + 2.0
        v13 = v11 / v12
        v14 = -v13
    return v6, v14
