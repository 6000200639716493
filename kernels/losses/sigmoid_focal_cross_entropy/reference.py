"""Sigmoid and binary focal loss, in plain array code, written by dnnkit.formula.write_losses."""

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
        v0 = xp.abs(y)
        v1 = -v0
        v2 = xp.exp(v1)
        v3 = xp.log1p(v2)
        v4 = 1.0 - t
        v5 = v2 + 1.0
        v6 = 1.0 / v5
        v7 = y >= 0.0
        v8 = xp.where(v7, v2, xp.full_like(y, 1.0))
        v9 = v6 * t
        v10 = v9 * v8
        v11 = xp.where(v7, xp.full_like(y, 1.0), v2)
        v12 = v4 * v6
        v13 = v12 * v11
        v14 = v10 + v13
        v15 = v14 < 1e-07
        v16 = xp.where(v15, xp.full_like(y, 1e-07), v14)
        v17 = xp.pow(v16, gamma)
        v18 = xp.where(v7, y, xp.full_like(y, 0.0))
        v19 = v3 + v18
        v20 = v4 * negative
        v21 = v20 * v19
        v22 = -y
        v23 = xp.where(v7, xp.full_like(y, 0.0), v22)
        v24 = v3 + v23
        v25 = t * positive
        v26 = v25 * v24
        v27 = v21 + v26
        v28 = v17 * v27
        v29 = v6 * v6
        v30 = v13 * negative
        v31 = v10 * positive
        v32 = v30 - v31
        v33 = v17 * v32
        v34 = v14 > 1e-07
        v35 = v2 * v29
        v36 = v35 * v4
        v37 = v35 * t
        v38 = v36 - v37
        v39 = xp.where(v34, v38, xp.full_like(y, 0.0))
        v40 = v28 * gamma
        v41 = v40 * v39
        v42 = v41 / v16
        v43 = v33 + v42
    return v28, v43
