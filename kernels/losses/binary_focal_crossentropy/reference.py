"""Binary focal loss, in plain array code, written by dnnkit.formula.write_losses."""

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
    positive: Any = 1.0,
    negative: Any = 1.0,
) -> tuple[Array, Array]:
    """Weighted sum of the rows' losses, and `scale` times its gradient in the predictions."""
    losses, slopes = _element(predictions, targets, xp, gamma, positive, negative)
    outputs = predictions.shape[1]
    rows = xp.sum(losses, axis=1) / outputs
    return weigh(rows, slopes * (scale / outputs), weights, xp)


def _element(y: Array, t: Array, xp: Namespace, gamma: Any, positive: Any, negative: Any) -> tuple[Array, Array]:
    """The loss of each output, and its derivative by the prediction."""
    with np.errstate(all="ignore"):  # of branches that are not taken
        v0 = y < 1e-07
        v1 = xp.where(v0, xp.full_like(y, 1e-07), y)
        v2 = v1 > 0.9999999
        v3 = xp.where(v2, xp.full_like(y, 0.9999999), v1)
        v4 = 1.0 - v3
        v5 = 1.0 - t
        v6 = v3 * v5
        v7 = v4 * t
        v8 = v6 + v7
        v9 = xp.pow(v8, gamma)
        v10 = -v3
        v11 = xp.log1p(v10)
        v12 = v5 * negative
        v13 = v12 * v11
        v14 = -v13
        v15 = xp.log(v3)
        v16 = t * positive
        v17 = v16 * v15
        v18 = v14 - v17
        v19 = v9 * v18
        v20 = v1 < 0.9999999
        v21 = y > 1e-07
        v22 = xp.where(v21, xp.full_like(y, 1.0), xp.full_like(y, 0.0))
        v23 = xp.where(v20, v22, xp.full_like(y, 0.0))
        v24 = v23 * t
        v25 = v5 * v23
        v26 = v25 * negative
        v27 = v26 / v4
        v28 = v24 * positive
        v29 = v28 / v3
        v30 = v27 - v29
        v31 = v9 * v30
        v32 = v25 - v24
        v33 = v19 * gamma
        v34 = v33 * v32
        v35 = v34 / v8
        v36 = v31 + v35
    return v19, v36
