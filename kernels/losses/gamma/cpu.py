"""Gamma deviance, row by row, written by dnnkit.formula.write_losses."""

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
        v1 = kind(1.0) / v0
        v2 = v1 * t
        v3 = v2 * kind(2.0)
        v4 = math.log(v2)
        v5 = v4 * kind(2.0)
        v6 = v3 - v5
        v7 = v6 - kind(2.0)
        v8 = v1 * kind(2.0)
        v9 = t * kind(2.0)
        v10 = v0 * v0
        v11 = v9 / v10
        v12 = v8 - v11
        total += v7
        out[i, k] = step * v12
    return total / kind(outputs)
