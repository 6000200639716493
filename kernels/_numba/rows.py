"""What every compiled loss does with the rows of a batch: labels as one-hot rows, and row weights that may be absent.

Each is resolved when the caller is compiled, by the type of the argument.
"""

from typing import Any

from numba import types
from numba.extending import overload

from dnnkit.kernels._numba.jit import OPTIONS, jit

RESOLVED: Any = OPTIONS


def target(targets: Any, i: int, k: int, zero: Any) -> Any:
    """Entry (i, k) of targets (B, C), or of the one-hot rows that labels (B,) stand for; of the type of `zero`."""
    raise NotImplementedError("compiled code only")


def label(targets: Any, i: int) -> Any:
    """Class of row i: the label, or the place of the largest entry of the row."""
    raise NotImplementedError("compiled code only")


def weight(weights: Any, i: int, zero: Any) -> Any:
    """Weight of row i, 1 if there are no weights; of the type of `zero`."""
    raise NotImplementedError("compiled code only")


@overload(target, jit_options=RESOLVED)
def _target(targets, i, k, zero):
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


@overload(label, jit_options=RESOLVED)
def _label(targets, i):
    if targets.ndim == 1:
        return lambda targets, i: targets[i]
    return lambda targets, i: largest(targets[i])


@overload(weight, jit_options=RESOLVED)
def _weight(weights, i, zero):
    if isinstance(weights, types.NoneType):
        return lambda weights, i, zero: zero + 1
    return lambda weights, i, zero: weights[i]
