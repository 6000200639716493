"""Poisson loss, row by row, written by dnnkit.formula.write_losses."""

import math

from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.rows import target


@jit
def row(i, predictions, targets, factor, out):
    """Loss of row i; `factor` times its gradient goes to row i of out."""
    kind, outputs = out.dtype.type, predictions.shape[1]
    step, total = factor / kind(outputs), kind(0)
    for k in range(outputs):
        y, t = predictions[i, k], target(targets, i, k, kind(0))
        v0 = y + kind(1e-07)
        v1 = math.log(v0)
        v2 = t * v1
        v3 = y - v2
        v4 = t / v0
        v5 = kind(1.0) - v4
        total += v3
        out[i, k] = step * v5
    return total / kind(outputs)
