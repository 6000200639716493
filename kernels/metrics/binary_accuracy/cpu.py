"""Binary accuracy, row by row. Contract: the package's docstring."""

from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.rows import target


@jit
def row(i, scores, targets, threshold):
    """Return the fraction of row i's outputs on the right side of the threshold."""
    count, zero = 0, scores.dtype.type(0)
    for k in range(scores.shape[1]):
        count += (scores[i, k] > threshold) == (target(targets, i, k, zero) > 0.5)
    return count / scores.shape[1]
