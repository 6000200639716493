"""Class outcomes, row by row. Contract: the package's docstring."""

from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.rows import label, largest


@jit
def add(i, scores, targets, weight, threshold, sums):
    """Add row i to the sums."""
    classes, predicted, actual = scores.shape[1], largest(scores[i]), label(targets, i)
    sums[classes + predicted] += weight
    if 0 <= actual < classes:
        sums[2 * classes + actual] += weight
        if actual == predicted:
            sums[actual] += weight
