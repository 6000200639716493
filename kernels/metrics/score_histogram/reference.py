"""Score histograms, in plain array code. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels._reference.rows import one_hot, row_weights
from dnnkit.kernels.array import Array, Namespace
from dnnkit.kernels.metrics.score_histogram import BINS, PER_UNIT

COARSE, FINE = BINS // 32, 32


def sums(scores: Array, targets: Array, weights: Array | None, threshold: float, xp: Namespace = np) -> Array:
    """Return the weighted count of scores in each bin, negatives then positives; float64 (2 K BINS,)."""
    places, yes, w = bins(scores, threshold, xp), one_hot(targets, scores, xp) > 0.5, row_weights(scores, weights, xp)
    # The array API has no bincount: per output, a product (COARSE, B) (B, FINE) of zeros and ones counts instead.
    coarse, fine = _is(places // FINE, COARSE, xp), _is(places % FINE, FINE, xp)
    parts = [xp.where(mask, w, xp.zeros_like(w))[:, :, None] * coarse for mask in (~yes, yes)]
    counted = [xp.matmul(xp.permute_dims(part, (1, 2, 0)), xp.permute_dims(fine, (1, 0, 2))) for part in parts]
    return xp.reshape(xp.stack(counted), (-1,))


def bins(scores: Array, threshold: float, xp: Namespace = np) -> Array:
    """Return the bin of each score; int64 (B, K)."""
    x = xp.astype(scores, xp.float64)
    if threshold != 0:
        p = xp.clip(x, 0.0, 1.0)
        inside = (p > 0) & (p < 1)
        odds = xp.where(inside, p, xp.full_like(p, 0.5))
        x = xp.where(inside, xp.log(odds / (1 - odds)), xp.where(p > 0, xp.full_like(p, BINS), xp.full_like(p, -BINS)))
    x = xp.where(scores == scores, xp.clip(x, -float(BINS), float(BINS)), xp.full_like(x, -BINS))
    return xp.astype(xp.clip(xp.floor(PER_UNIT * x) + BINS // 2, 0.0, BINS - 1.0), xp.int64)


def _is(places: Array, count: int, xp: Namespace) -> Array:
    """Return one-hot places, float64 (B, K, count)."""
    return xp.astype(places[:, :, None] == xp.arange(count)[None, None, :], xp.float64)
