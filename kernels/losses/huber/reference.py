"""Huber's loss, in plain array code, written by dnnkit.formula.write_losses."""

from typing import Any

import numpy as np

from dnnkit.kernels._reference.rows import weigh
from dnnkit.kernels.array import Array, Namespace


def loss_and_gradient(
    predictions: Array,
    targets: Array,
    weights: Array | None,
    scale: float,
    xp: Namespace = np,
    *,
    delta: Any = 1.0,
) -> tuple[Array, Array]:
    """Weighted sum of the rows' losses, and `scale` times its gradient in the predictions."""
    losses, slopes = _element(predictions, targets, xp, delta)
    outputs = predictions.shape[1]
    rows = xp.sum(losses, axis=1) / outputs
    return weigh(rows, slopes * (scale / outputs), weights, xp)


def _element(y: Array, t: Array, xp: Namespace, delta: Any) -> tuple[Array, Array]:
    """The loss of each output, and its derivative by the prediction."""
    with np.errstate(all="ignore"):  # of branches that are not taken
        difference = y - t
        v0 = xp.abs(difference)
        v1 = delta >= v0
        v2 = delta * 0.5
        v3 = v0 - v2
        v4 = delta * v3
        v5 = difference * difference
        v6 = v5 * 0.5
        v7 = xp.where(v1, v6, v4)
        v8 = difference < 0.0
        v9 = xp.where(v8, xp.full_like(y, -1.0), xp.full_like(y, 0.0))
        v10 = difference > 0.0
        v11 = xp.where(v10, xp.full_like(y, 1.0), v9)
        v12 = delta * v11
        v13 = xp.where(v1, difference, v12)
    return v7, v13
