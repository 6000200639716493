"""Sigmoid and binary focal loss, row by row, written by dnnkit.formula.write_losses."""

from dnnkit.kernels._numba.elementary import exp, log1p_of_share
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.rows import target


@jit
def row(i, predictions, targets, factor, out, gamma=2.0, positive=1.0, negative=1.0):
    """Loss of row i; `factor` times its gradient goes to row i of out."""
    kind, outputs = out.dtype.type, predictions.shape[1]
    step, total = factor / kind(outputs), kind(0)
    for k in range(outputs):
        y, t = predictions[i, k], target(targets, i, k, kind(0))
        v0 = abs(y)
        v1 = -v0
        v2 = exp(v1)
        v3 = log1p_of_share(v2)
        v4 = kind(1.0) - t
        v5 = v2 + kind(1.0)
        v6 = kind(1.0) / v5
        v7 = y >= kind(0.0)
        v8 = v2 if v7 else kind(1.0)
        v9 = v6 * t
        v10 = v9 * v8
        v11 = kind(1.0) if v7 else v2
        v12 = v4 * v6
        v13 = v12 * v11
        v14 = v10 + v13
        v15 = v14 < kind(1e-07)
        v16 = kind(1e-07) if v15 else v14
        v17 = v16 ** kind(gamma)
        v18 = y if v7 else kind(0.0)
        v19 = v3 + v18
        v20 = v4 * kind(negative)
        v21 = v20 * v19
        v22 = -y
        v23 = kind(0.0) if v7 else v22
        v24 = v3 + v23
        v25 = t * kind(positive)
        v26 = v25 * v24
        v27 = v21 + v26
        v28 = v17 * v27
        v29 = v6 * v6
        v30 = v13 * kind(negative)
        v31 = v10 * kind(positive)
        v32 = v30 - v31
        v33 = v17 * v32
        v34 = v14 > kind(1e-07)
        v35 = v2 * v29
        v36 = v35 * v4
        v37 = v35 * t
        v38 = v36 - v37
        v39 = v38 if v34 else kind(0.0)
        v40 = v28 * kind(gamma)
        v41 = v40 * v39
        v42 = v41 / v16
        v43 = v33 + v42
        total += v28
        out[i, k] = step * v43
    return total / kind(outputs)
