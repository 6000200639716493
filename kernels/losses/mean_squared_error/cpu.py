"""Mean squared error, row by row. Contract: the package's docstring."""

from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.rows import target


@jit
def row(i, predictions, targets, factor, out):
    """Return the loss of row i; write `factor` times its gradient to row i of out."""
    kind, outputs = out.dtype.type, predictions.shape[1]
    total = kind(0)
    step = kind(2) * factor / kind(outputs)
    for k in range(outputs):
        difference = predictions[i, k] - target(targets, i, k, kind(0))
        total += difference * difference
        out[i, k] = difference * step
    return total / kind(outputs)
