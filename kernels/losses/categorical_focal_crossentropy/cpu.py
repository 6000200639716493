"""Categorical focal loss, row by row, written by dnnkit.formula.write_losses."""

import math

from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.rows import target


@jit
def row(i, predictions, targets, factor, out, gamma=2.0, alpha=0.25):
    """Loss of row i; `factor` times its gradient goes to row i of out."""
    kind, outputs = out.dtype.type, predictions.shape[1]
    step, total = factor, kind(0)
    for k in range(outputs):
        y, t = predictions[i, k], target(targets, i, k, kind(0))
        v0 = y < kind(1e-07)
        v1 = kind(1e-07) if v0 else y
        v2 = v1 > kind(0.9999999)
        v3 = kind(0.9999999) if v2 else v1
        v4 = kind(1.0) - v3
        v5 = v4 ** kind(gamma)
        v6 = t * kind(alpha)
        v7 = v6 * v5
        v8 = math.log(v3)
        v9 = v7 * v8
        v10 = v1 < kind(0.9999999)
        v11 = y > kind(1e-07)
        v12 = kind(1.0) if v11 else kind(0.0)
        v13 = v12 if v10 else kind(0.0)
        v14 = -v9
        v15 = v9 * v13
        v16 = v15 * kind(gamma)
        v17 = v16 / v4
        v18 = v7 * v13
        v19 = v18 / v3
        v20 = v17 - v19
        total += v14
        out[i, k] = step * v20
    return total
