"""Sum of squared errors, row by row. Contract: the package's docstring."""

from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.rows import target


@jit
def row(i, predictions, targets, factor, out):
    """Return the loss of row i; write `factor` times its gradient to row i of out."""
    kind = out.dtype.type
    total = kind(0)
    for k in range(predictions.shape[1]):
        difference = predictions[i, k] - target(targets, i, k, kind(0))
        total += difference * difference
        out[i, k] = difference * factor
    return total * kind(0.5)
