"""Quantile loss, or pinball loss, row by row, written by dnnkit.formula.write_losses."""

from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.rows import target


@jit
def row(i, predictions, targets, factor, out, quantile=0.5):
    """Loss of row i; `factor` times its gradient goes to row i of out."""
    kind, outputs = out.dtype.type, predictions.shape[1]
    step, total = factor / kind(outputs), kind(0)
    for k in range(outputs):
        y, t = predictions[i, k], target(targets, i, k, kind(0))
        difference = y - t
        v0 = difference < kind(0.0)
        v1 = kind(1.0) - kind(quantile)
        v2 = v1 * difference
        v3 = difference * kind(quantile)
        v4 = -v3
        v5 = v4 if v0 else v2
        v6 = -kind(quantile)
        v7 = v6 if v0 else v1
        total += v5
        out[i, k] = step * v7
    return total / kind(outputs)
