"""Softmax cross-entropy, row by row. Contract: the package's docstring."""

import math

from dnnkit.kernels._numba.elementary import exp
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.rows import target


@jit
def row(i, logits, targets, factor, out):
    """Loss of row i; `factor` times its gradient goes to row i of out."""
    kind, classes = out.dtype.type, logits.shape[1]
    largest = logits[i, 0]
    for k in range(1, classes):
        largest = logits[i, k] if logits[i, k] > largest or logits[i, k] != logits[i, k] else largest
    total, target_sum = kind(0), kind(0)
    for k in range(classes):  # apart from the sum, which must keep its order: so this loop is vectorised
        out[i, k] = exp(logits[i, k] - largest)
    for k in range(classes):
        total += out[i, k]
        target_sum += target(targets, i, k, kind(0))
    log_total, loss = kind(math.log(total)), kind(0)
    step = factor * target_sum / total
    for k in range(classes):
        t = target(targets, i, k, kind(0))
        loss += t * (log_total - (logits[i, k] - largest))
        out[i, k] = out[i, k] * step - factor * t
    return loss
