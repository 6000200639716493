"""Binary focal loss, row by row, written by dnnkit.formula.write_losses."""

import math

from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.rows import target


@jit
def row(i, predictions, targets, factor, out, gamma=2.0, positive=1.0, negative=1.0):
    """Loss of row i; `factor` times its gradient goes to row i of out."""
    kind, outputs = out.dtype.type, predictions.shape[1]
    step, total = factor / kind(outputs), kind(0)
    for k in range(outputs):
        y, t = predictions[i, k], target(targets, i, k, kind(0))
        v0 = y < kind(1e-07)
        v1 = kind(1e-07) if v0 else y
        v2 = v1 > kind(0.9999999)
        v3 = kind(0.9999999) if v2 else v1
        v4 = kind(1.0) - v3
        v5 = kind(1.0) - t
        v6 = v3 * v5
        v7 = v4 * t
        v8 = v6 + v7
        v9 = v8 ** kind(gamma)
        v10 = -v3
        v11 = math.log1p(v10)
        v12 = v5 * kind(negative)
        v13 = v12 * v11
        v14 = -v13
        v15 = math.log(v3)
        v16 = t * kind(positive)
        v17 = v16 * v15
        v18 = v14 - v17
        v19 = v9 * v18
        v20 = v1 < kind(0.9999999)
        v21 = y > kind(1e-07)
        v22 = kind(1.0) if v21 else kind(0.0)
        v23 = v22 if v20 else kind(0.0)
        v24 = v23 * t
        v25 = v5 * v23
        v26 = v25 * kind(negative)
        v27 = v26 / v4
        v28 = v24 * kind(positive)
        v29 = v28 / v3
        v30 = v27 - v29
        v31 = v9 * v30
        v32 = v25 - v24
        v33 = v19 * kind(gamma)
        v34 = v33 * v32
        v35 = v34 / v8
        v36 = v31 + v35
        total += v19
        out[i, k] = step * v36
    return total / kind(outputs)
