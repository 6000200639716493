"""Binary cross-entropy on probabilities, in plain array code. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels._reference.rows import weigh
from dnnkit.kernels.array import Array, Namespace

CLIP = 1e-7


def loss_and_gradient(
    predictions: Array, targets: Array, weights: Array | None, scale: float, xp: Namespace = np
) -> tuple[Array, Array]:
    """Return the weighted sum of the rows' losses, and `scale` times its gradient with respect to the predictions."""
    outputs = predictions.shape[1]
    p = xp.clip(predictions, CLIP, 1 - CLIP)
    rows = -xp.sum(targets * xp.log(p) + (1 - targets) * xp.log1p(-p), axis=1) / outputs
    inside = xp.astype((predictions > CLIP) & (predictions < 1 - CLIP), predictions.dtype)
    gradient = inside * (p - targets) / (p * (1 - p)) * (scale / outputs)
    return weigh(rows, gradient, weights, xp)
