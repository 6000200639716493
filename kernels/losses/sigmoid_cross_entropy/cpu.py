"""Sigmoid cross-entropy, row by row. Contract: the package's docstring."""

from dnnkit.kernels._numba.elementary import exp, log1p_of_share
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.rows import target
from dnnkit.kernels.activations.sigmoid import cpu as sigmoid


@jit
def row(i, logits, targets, factor, out):
    """Loss of row i; `factor` times its gradient goes to row i of out."""
    kind, outputs = out.dtype.type, logits.shape[1]
    zero, step = kind(0), factor / kind(outputs)
    total = zero
    for k in range(outputs):
        z, t = logits[i, k], target(targets, i, k, zero)
        total += (zero if z < zero else z) - z * t + log1p_of_share(exp(-abs(z)))
        out[i, k] = step * (sigmoid.forward(z) - t)
    return total / kind(outputs)
