"""Top-k accuracy, in plain array code. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels.array import Array, Namespace


def rows(scores: Array, targets: Array, threshold: float, xp: Namespace = np) -> Array:
    """Return 1 for each row in which fewer than `threshold` scores rank before its class, else 0; float64 (B,)."""
    labels = xp.argmax(targets, axis=1) if targets.ndim == 2 else xp.astype(targets, xp.int64)
    labels, places = labels[:, None], xp.arange(scores.shape[1])[None, :]
    is_class, is_nan = labels == places, scores != scores
    # The score of the class, and whether it is NaN, which ranks as the largest, as in argmax; labels are unique per
    # score.
    own = xp.sum(xp.where(is_class & ~is_nan, scores, xp.zeros_like(scores)), axis=1)[:, None]
    own_is_nan = xp.any(is_class & is_nan, axis=1)[:, None]
    equal = xp.where(own_is_nan, is_nan, scores == own)
    before = (~own_is_nan & ((scores > own) | is_nan)) | (equal & (places < labels))
    rank = xp.sum(xp.astype(before, xp.float64), axis=1)
    return xp.astype(xp.any(is_class, axis=1) & (rank < threshold), xp.float64)
