"""Categorical focal loss, in plain array code, written by dnnkit.formula.write_losses."""

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
    gamma: Any = 2.0,
    alpha: Any = 0.25,
) -> tuple[Array, Array]:
    """Weighted sum of the rows' losses, and `scale` times its gradient in the predictions."""
    losses, slopes = _element(predictions, targets, xp, gamma, alpha)
    rows = xp.sum(losses, axis=1)
    return weigh(rows, slopes * scale, weights, xp)


def _element(y: Array, t: Array, xp: Namespace, gamma: Any, alpha: Any) -> tuple[Array, Array]:
    """The loss of each output, and its derivative by the prediction."""
    with np.errstate(all="ignore"):  # of branches that are not taken
        v0 = y < 1e-07
        v1 = xp.where(v0, xp.full_like(y, 1e-07), y)
        v2 = v1 > 0.9999999
        v3 = xp.where(v2, xp.full_like(y, 0.9999999), v1)
        v4 = 1.0 - v3
        v5 = xp.pow(v4, gamma)
        v6 = t * alpha
        v7 = v6 * v5
        v8 = xp.log(v3)
        v9 = v7 * v8
        v10 = v1 < 0.9999999
        v11 = y > 1e-07
        v12 = xp.where(v11, xp.full_like(y, 1.0), xp.full_like(y, 0.0))
        v13 = xp.where(v10, v12, xp.full_like(y, 0.0))
        v14 = -v9
        v15 = v9 * v13
        v16 = v15 * gamma
        v17 = v16 / v4
        v18 = v7 * v13
        v19 = v18 / v3
        v20 = v17 - v19
    return v14, v20
