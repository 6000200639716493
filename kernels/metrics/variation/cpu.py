"""Variation of targets and errors, row by row. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.rows import target


@jit
def add(i, scores, targets, weight, threshold, sums):
    """Add row i to the sums."""
    outputs, zero = scores.shape[1], scores.dtype.type(0)
    for k in range(outputs):
        t = np.float64(target(targets, i, k, zero))
        error = np.float64(scores[i, k]) - t
        sums[k] += weight * t
        sums[outputs + k] += weight * (t * t)
        sums[2 * outputs + k] += weight * (error * error)
