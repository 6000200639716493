"""Binary outcomes, row by row. Contract: the package's docstring."""

from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.rows import target


@jit
def add(i, scores, targets, weight, threshold, sums):
    """Add row i to the sums."""
    outputs, zero = scores.shape[1], scores.dtype.type(0)
    for k in range(outputs):
        predicted, actual = scores[i, k] > threshold, target(targets, i, k, zero) > 0.5
        sums[k] += weight * (predicted and actual)
        sums[outputs + k] += weight * predicted
        sums[2 * outputs + k] += weight * actual
