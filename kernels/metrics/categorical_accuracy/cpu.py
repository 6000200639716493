"""Categorical accuracy, row by row. Contract: the package's docstring."""

from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.rows import label, largest


@jit
def row(i, scores, targets, threshold):
    """Return 1 if the largest score of row i, the first if several are equal, is that of its class, else 0."""
    return 1.0 if largest(scores[i]) == label(targets, i) else 0.0
