"""Accuracy, row by row. Contract: the package's docstring."""

from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.rows import label, largest, target, weight


@jit
def categorical_row(i, scores, targets):
    """1 if the largest score of row i is that of its class, else 0; the first where several are equal."""
    return 1.0 if largest(scores[i]) == label(targets, i) else 0.0


@jit
def binary_row(i, scores, targets, threshold):
    """Share of the outputs of row i on the right side of the threshold."""
    count, zero = 0, scores.dtype.type(0)
    for k in range(scores.shape[1]):
        count += (scores[i, k] > threshold) == (target(targets, i, k, zero) > 0.5)
    return count / scores.shape[1]


@jit
def categorical(scores, targets, weights):
    """Weighted number of rows whose largest score is that of their class."""
    total, zero = 0.0, scores.dtype.type(0)
    for i in range(scores.shape[0]):
        total += weight(weights, i, zero) * categorical_row(i, scores, targets)
    return total


@jit
def binary(scores, targets, weights, threshold):
    """Weighted share of outputs on the right side of the threshold, summed over rows."""
    total, zero = 0.0, scores.dtype.type(0)
    for i in range(scores.shape[0]):
        total += weight(weights, i, zero) * binary_row(i, scores, targets, threshold)
    return total
