"""Squared hinge loss, row by row, written by dnnkit.formula.write_losses."""

from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.rows import target


@jit
def row(i, predictions, targets, factor, out):
    """Loss of row i; `factor` times its gradient goes to row i of out."""
    kind, outputs = out.dtype.type, predictions.shape[1]
    step, total = factor / kind(outputs), kind(0)
    for k in range(outputs):
        y, t = predictions[i, k], target(targets, i, k, kind(0))
        v0 = t - kind(0.5)
        v1 = v0 < kind(0.0)
        v2 = kind(-1.0) if v1 else kind(0.0)
        v3 = v0 > kind(0.0)
        v4 = kind(1.0) if v3 else v2
        v5 = v4 * y
        v6 = kind(1.0) - v5
        v7 = v6 < kind(0.0)
        v8 = kind(0.0) if v7 else v6
        v9 = v8 * v8
        v10 = v5 < kind(1.0)
        v11 = -v4
        v12 = v11 if v10 else kind(0.0)
        v13 = v8 * v12
        v14 = v13 * kind(2.0)
        total += v9
        out[i, k] = step * v14
    return total / kind(outputs)
