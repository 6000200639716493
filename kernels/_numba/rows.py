"""Rows of a batch in compiled losses and metrics: labels as one-hot rows, and optional row weights.

Each function is resolved by argument type when its caller is compiled.
"""

from numba import types

from dnnkit.kernels._numba.extending import resolved_by_type
from dnnkit.kernels._numba.jit import jit


@resolved_by_type()
def target(targets, i, k, zero):
    """Return entry (i, k) of targets (B, C), or of the one-hot rows of labels (B,), in the type of `zero`.

    For smoothed targets, a tuple (targets, kept, share), the result is kept · entry + share.
    """
    if isinstance(targets, types.BaseTuple):
        return lambda targets, i, k, zero: targets[1] * target(targets[0], i, k, zero) + targets[2]
    if targets.ndim == 1:
        return lambda targets, i, k, zero: zero + 1 if targets[i] == k else zero
    return lambda targets, i, k, zero: targets[i, k]


@jit
def largest(row):
    """Return the index of the maximum, the first if several are equal; NaN counts as the largest, as in NumPy."""
    best = 0
    for k in range(1, row.size):
        if row[best] == row[best] and (row[k] > row[best] or row[k] != row[k]):
            best = k
    return best


@resolved_by_type()
def label(targets, i):
    """Return the class of row i: its label, or the index of its largest entry."""
    if targets.ndim == 1:
        return lambda targets, i: targets[i]
    return lambda targets, i: largest(targets[i])


@resolved_by_type()
def weight(weights, i, zero):
    """Return the weight of row i, 1 if there are no weights, in the type of `zero`."""
    if isinstance(weights, types.NoneType):
        return lambda weights, i, zero: zero + 1
    return lambda weights, i, zero: weights[i]
