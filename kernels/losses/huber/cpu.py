"""Huber's loss, row by row, written by dnnkit.formula.write_losses."""

from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.rows import target


@jit
def row(i, predictions, targets, factor, out, delta=1.0):
    """Loss of row i; `factor` times its gradient goes to row i of out."""
    kind, outputs = out.dtype.type, predictions.shape[1]
    step, total = factor / kind(outputs), kind(0)
    for k in range(outputs):
        y, t = predictions[i, k], target(targets, i, k, kind(0))
        difference = y - t
        v0 = abs(difference)
        v1 = kind(delta) >= v0
        v2 = kind(delta) * kind(0.5)
        v3 = v0 - v2
        v4 = kind(delta) * v3
        v5 = difference * difference
        v6 = v5 * kind(0.5)
        v7 = v6 if v1 else v4
        v8 = difference < kind(0.0)
        v9 = kind(-1.0) if v8 else kind(0.0)
        v10 = difference > kind(0.0)
        v11 = kind(1.0) if v10 else v9
        v12 = kind(delta) * v11
        v13 = difference if v1 else v12
        total += v7
        out[i, k] = step * v13
    return total / kind(outputs)
