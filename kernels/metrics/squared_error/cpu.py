"""Squared error, row by row. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.rows import target


@jit
def row(i, scores, targets, threshold):
    """Return the mean of (y - t)² over the outputs of row i."""
    total, zero = 0.0, scores.dtype.type(0)
    for k in range(scores.shape[1]):
        error = np.float64(scores[i, k]) - np.float64(target(targets, i, k, zero))
        total += error * error
    return total / scores.shape[1]
