"""Mean squared error, row by row. Contract: the package's docstring."""

from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.rows import target, weight


@jit
def row(i, predictions, targets, factor, out):
    """Loss of row i; `factor` times its gradient goes to row i of out."""
    kind, outputs = out.dtype.type, predictions.shape[1]
    total = kind(0)
    step = kind(2) * factor / kind(outputs)
    for k in range(outputs):
        difference = predictions[i, k] - target(targets, i, k, kind(0))
        total += difference * difference
        out[i, k] = difference * step
    return total / kind(outputs)


@jit
def loss_and_gradient(predictions, targets, weights, scale, out):
    """Weighted sum of the rows' losses; `scale` times its gradient goes to out (B, K)."""
    zero = out.dtype.type(0)
    total = 0.0
    for i in range(predictions.shape[0]):
        w = weight(weights, i, zero)
        total += w * row(i, predictions, targets, w * out.dtype.type(scale), out)
    return total
