"""Kullback-Leibler divergence, row by row, written by dnnkit.formula.write_losses."""

import math

from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.rows import target


@jit
def row(i, predictions, targets, factor, out):
    """Loss of row i; `factor` times its gradient goes to row i of out."""
    kind, outputs = out.dtype.type, predictions.shape[1]
    step, total = factor, kind(0)
    for k in range(outputs):
        y, t = predictions[i, k], target(targets, i, k, kind(0))
        v0 = y < kind(1e-07)
        v1 = kind(1e-07) if v0 else y
        v2 = kind(1.0) / v1
        v3 = t < kind(1e-30)
        v4 = kind(1e-30) if v3 else t
        v5 = v2 * v4
        v6 = math.log(v5)
        v7 = t * v6
        v8 = y > kind(1e-07)
        v9 = kind(1.0) if v8 else kind(0.0)
        v10 = v2 * t
        v11 = v10 * v9
        v12 = -v11
        total += v7
        out[i, k] = step * v12
    return total
