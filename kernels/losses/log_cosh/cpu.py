"""Log-cosh loss, row by row, written by dnnkit.formula.write_losses."""

from dnnkit.kernels._numba.elementary import exp, expm1_of_negative, log1p_of_share
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
        v1 = v0 * kind(-2.0)
        v2 = expm1_of_negative(v1)
        v3 = exp(v1)
        v4 = log1p_of_share(v3)
        v5 = v0 + v4
        v6 = v5 - kind(0.6931471805599453)
        v7 = difference < kind(0.0)
        v8 = kind(-1.0) if v7 else kind(0.0)
        v9 = difference > kind(0.0)
        v10 = kind(1.0) if v9 else v8
        v11 = v2 * v10
        v12 = v2 + kind(2.0)
        v13 = v11 / v12
        v14 = -v13
        total += v6
        out[i, k] = step * v14
    return total / kind(outputs)
