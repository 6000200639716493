"""Sum of squared errors, row by row. Contract: the package's docstring."""

from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.rows import target, weight


@jit
def row(i, predictions, targets, factor, out):
    """Loss of row i; `factor` times its gradient goes to row i of out."""
    kind = out.dtype.type
    total = kind(0)
    for k in range(predictions.shape[1]):
        difference = predictions[i, k] - target(targets, i, k, kind(0))
        total += difference * difference
        out[i, k] = difference * factor
    return total * kind(0.5)


@jit
def loss_and_gradient(predictions, targets, weights, scale, out):
    """Weighted sum of the rows' losses; `scale` times its gradient goes to out (B, K)."""
    zero = out.dtype.type(0)
    total = 0.0
    for i in range(predictions.shape[0]):
        w = weight(weights, i, zero)
        total += w * row(i, predictions, targets, w * out.dtype.type(scale), out)
    return total
