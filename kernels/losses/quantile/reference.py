"""Quantile loss, or pinball loss, in plain array code, written by dnnkit.formula.write_losses."""

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
    quantile: Any = 0.5,
) -> tuple[Array, Array]:
    """Weighted sum of the rows' losses, and `scale` times its gradient in the predictions."""
    losses, slopes = _element(predictions, targets, xp, quantile)
    outputs = predictions.shape[1]
    rows = xp.sum(losses, axis=1) / outputs
    return weigh(rows, slopes * (scale / outputs), weights, xp)


def _element(y: Array, t: Array, xp: Namespace, quantile: Any) -> tuple[Array, Array]:
    """The loss of each output, and its derivative by the prediction."""
    with np.errstate(all="ignore"):  # of branches that are not taken
        difference = y - t
        v0 = difference < 0.0
        v1 = 1.0 - quantile
        v2 = v1 * difference
        v3 = difference * quantile
        v4 = -v3
        v5 = xp.where(v0, v4, v2)
        v6 = -quantile
        v7 = xp.where(v0, v6 + xp.zeros_like(y), v1 + xp.zeros_like(y))
    return v5, v7
