"""What every loss does with the rows of a batch: labels to one-hot rows, and row weights."""

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
