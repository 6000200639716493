"""What every compiled loss does with the rows of a batch: labels as one-hot rows, and row weights that may be absent.

Each is resolved when the caller is compiled, by the type of the argument.
"""

from numba import types

from dnnkit.kernels._numba.extending import resolved_by_type
from dnnkit.kernels._numba.jit import jit


@resolved_by_type()
def target(targets, i, k, zero):
    """Entry (i, k) of targets (B, C), or of the one-hot rows that labels (B,) stand for; of the type of `zero`.

    Of targets with two numbers, (targets, kept, share), it is kept · entry + share: smoothed.
    """
    if isinstance(targets, types.BaseTuple):
        return lambda targets, i, k, zero: targets[1] * target(targets[0], i, k, zero) + targets[2]
    if targets.ndim == 1:
        return lambda targets, i, k, zero: zero + 1 if targets[i] == k else zero
    return lambda targets, i, k, zero: targets[i, k]


@jit
def largest(row):
    """Place of the largest number, the first where several are equal; a NaN counts as the largest, as in NumPy."""
    best = 0
    for k in range(1, row.size):
        if row[best] == row[best] and (row[k] > row[best] or row[k] != row[k]):
            best = k
    return best


@resolved_by_type()
def label(targets, i):
    """Class of row i: the label, or the place of the largest entry of the row."""
    if targets.ndim == 1:
        return lambda targets, i: targets[i]
    return lambda targets, i: largest(targets[i])


@resolved_by_type()
def weight(weights, i, zero):
    """Weight of row i, 1 if there are no weights; of the type of `zero`."""
    if isinstance(weights, types.NoneType):
        return lambda weights, i, zero: zero + 1
    return lambda weights, i, zero: weights[i]
