"""What losses and metrics do with the rows of a batch: labels to one-hot rows, row weights, counting."""

from dnnkit.kernels.array import Array, Namespace


def one_hot(targets: Array, scores: Array, xp: Namespace) -> Array:
    """Targets (B, C) as they are; labels (B,) as rows with one 1, in the dtype of scores (B, C)."""
    if targets.ndim == 2:
        return targets
    labels = xp.astype(targets, xp.int64)  # a narrow dtype could not count the classes
    return xp.astype(labels[:, None] == xp.arange(scores.shape[1])[None, :], scores.dtype)


def weigh(rows: Array, gradient: Array, weights: Array | None, xp: Namespace) -> tuple[Array, Array]:
    """Sum of the row losses (B,) in float64, and the gradient (B, K), both times the row weights."""
    if weights is not None:
        rows = rows * weights
        gradient = gradient * weights[:, None]
    return xp.sum(rows, dtype=xp.float64), gradient


def row_weights(scores: Array, weights: Array | None, xp: Namespace) -> Array:
    """The row weights as float64, for each of the outputs (B, K); ones where there are none."""
    if weights is None:
        return xp.ones(scores.shape, dtype=xp.float64)
    return xp.broadcast_to(xp.astype(weights, xp.float64)[:, None], scores.shape)


def outcomes(predicted: Array, actual: Array, weights: Array | None, xp: Namespace) -> Array:
    """Weighted counts over rows (B, K) of what is both predicted and actual, of either: float64 (3 K,)."""
    w, zero = row_weights(predicted, weights, xp), xp.asarray(0.0, dtype=xp.float64)
    return xp.concat([xp.sum(xp.where(mask, w, zero), axis=0) for mask in (predicted & actual, predicted, actual)])
