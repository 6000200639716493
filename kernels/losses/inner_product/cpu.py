"""Inner product, row by row. Contract: the package's docstring."""

from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.rows import target


@jit
def row(i, predictions, targets, factor, out):
    """Return the loss of row i; write `factor` times its gradient to row i of out."""
    total = out.dtype.type(0)
    for k in range(predictions.shape[1]):
        given = target(targets, i, k, out.dtype.type(0))
        total += predictions[i, k] * given
        out[i, k] = given * factor
    return total
