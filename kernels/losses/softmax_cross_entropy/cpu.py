"""Softmax cross-entropy, row by row. Contract: the package's docstring."""

import math

import numpy as np
from numba import types

from dnnkit.kernels._numba.elementary import exp
from dnnkit.kernels._numba.extending import resolved_by_type
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.lanes import largest_of, smallest_of, sum_of
from dnnkit.kernels._numba.rows import target


@jit
def row(i, logits, targets, factor, out):
    """Return the loss of row i; write `factor` times its gradient to row i of out."""
    largest = largest_of(logits[i])
    for k in range(logits.shape[1]):  # separate from the sum, whose order is fixed, so that this loop is vectorized
        out[i, k] = exp(logits[i, k] - largest)
    return _with_targets(i, logits, targets, factor, out, largest, sum_of(out[i]))


@resolved_by_type()
def _with_targets(i, logits, targets, factor, out, largest, total):
    """Return the loss; replace the exponentials in out by the gradient."""
    if isinstance(targets, types.Array) and targets.ndim == 1:
        return _of_label
    return _of_values


def _of_label(i, logits, targets, factor, out, largest, total):
    """Loss and gradient for the one-hot row of a label: one term of the loss, and one gradient entry that differs."""
    kind, label = out.dtype.type, targets[i]
    if not 0 <= label < logits.shape[1]:  # an all-zero row, as in the reference
        out[i] = 0
        return 0.0
    share, step = out[i, label], np.float64(factor) / total  # float64: a float32 gradient is rounded once
    for k in range(logits.shape[1]):
        out[i, k] = out[i, k] * step
    out[i, label] = share * step - factor
    of_others = kind(0) * smallest_of(logits[i])  # NaN if one of them is infinite
    return np.float64(kind(math.log(total)) - (logits[i, label] - largest)) + of_others


def _of_values(i, logits, targets, factor, out, largest, total):
    kind, classes, target_sum = out.dtype.type, logits.shape[1], out.dtype.type(0)
    for k in range(classes):
        target_sum += target(targets, i, k, kind(0))
    log_total, loss, step = kind(math.log(total)), kind(0), factor * target_sum / total
    for k in range(classes):
        t = target(targets, i, k, kind(0))
        loss += t * (log_total - (logits[i, k] - largest))
        out[i, k] = out[i, k] * step - factor * t
    return loss
