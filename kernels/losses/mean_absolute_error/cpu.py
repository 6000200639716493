"""Mean absolute error, row by row, written by dnnkit.formula.write_losses."""

from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.rows import target


@jit
def row(i, predictions, targets, factor, out):
    """Loss of row i; `factor` times its gradient goes to row i of out."""
    kind, outputs = out.dtype.type, predictions.shape[1]
    step, total = factor / kind(outputs), kind(0)
    for k in range(outputs):
        y, t = predictions[i, k], target(targets, i, k, kind(0))
        difference = y - t
        v0 = abs(difference)
        v1 = difference < kind(0.0)
        v2 = kind(-1.0) if v1 else kind(0.0)
        v3 = difference > kind(0.0)
        v4 = kind(1.0) if v3 else v2
        total += v0
        out[i, k] = step * v4
    return total / kind(outputs)
