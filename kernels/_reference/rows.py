"""Rows of a batch in losses and metrics: labels as one-hot rows, row weights, counts."""

from dnnkit.kernels.array import Array, Namespace


def one_hot(targets: Array, scores: Array, xp: Namespace) -> Array:
    """Return targets (B, C) unchanged, or labels (B,) as one-hot rows, in the dtype of scores (B, C)."""
    if targets.ndim == 2:
        return targets
    labels = xp.astype(targets, xp.int64)  # a narrow dtype could overflow on the number of classes
    return xp.astype(labels[:, None] == xp.arange(scores.shape[1])[None, :], scores.dtype)


def weigh(rows: Array, gradient: Array, weights: Array | None, xp: Namespace) -> tuple[Array, Array]:
    """Return the sum of row losses (B,) in float64 and the gradient (B, K), both multiplied by the row weights."""
    if weights is not None:
        rows = rows * weights
        gradient = gradient * weights[:, None]
    return xp.sum(rows, dtype=xp.float64), gradient


def row_weights(scores: Array, weights: Array | None, xp: Namespace) -> Array:
    """Return the row weights in float64, broadcast to the outputs (B, K); ones if there are none."""
    if weights is None:
        return xp.ones(scores.shape, dtype=xp.float64)
    return xp.broadcast_to(xp.astype(weights, xp.float64)[:, None], scores.shape)


def outcomes(predicted: Array, actual: Array, weights: Array | None, xp: Namespace) -> Array:
    """Return weighted counts over rows (B, K) of true positives, predicted and actual positives; float64 (3 K,)."""
    w, zero = row_weights(predicted, weights, xp), xp.asarray(0.0, dtype=xp.float64)
    return xp.concat([xp.sum(xp.where(mask, w, zero), axis=0) for mask in (predicted & actual, predicted, actual)])
