"""Score histograms, row by row. Contract: the package's docstring."""

import math

import numpy as np

from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.rows import target
from dnnkit.kernels.metrics.score_histogram import BINS, PER_UNIT

MOST = float(BINS)


@jit
def log_odds(p):
    """Return log(p / (1 - p)), or a value beyond every bin if p is not between 0 and 1."""
    if 0 < p < 1:
        return math.log(p / (1 - p))
    return MOST if p >= 1 else -MOST


@jit
def add(i, scores, targets, weight, threshold, sums):
    """Add row i to the sums."""
    outputs, zero = scores.shape[1], scores.dtype.type(0)
    for k in range(outputs):
        score = np.float64(scores[i, k])
        x = score if threshold == 0 else log_odds(score)
        place = 0
        if x > -MOST:  # false for NaN
            place = math.floor(PER_UNIT * min(x, MOST)) + BINS // 2
            place = 0 if place < 0 else BINS - 1 if place >= BINS else place
        yes = target(targets, i, k, zero) > 0.5
        sums[(outputs * yes + k) * BINS + place] += weight
