"""Sigmoid cross-entropy, element by element. Contract: the package's docstring."""

from dnnkit.kernels._numba.elementary import exp, log1p_of_share
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.rows import target
from dnnkit.kernels.activations.sigmoid import cpu as sigmoid


@jit
def term(z, t):
    zero = type(z)(0)
    return (zero if z < zero else z) - z * t + log1p_of_share(exp(-abs(z)))


@jit
def slope(z, t):
    return sigmoid.forward(z) - t


@jit
def row(i, logits, targets, factor, out):
    """Return the loss of row i; write `factor` times its gradient to row i of out."""
    kind, outputs = out.dtype.type, logits.shape[1]
    step, total = factor / kind(outputs), kind(0)
    for k in range(outputs):
        z, t = logits[i, k], target(targets, i, k, kind(0))
        total += term(z, t)
        out[i, k] = step * slope(z, t)
    return total / kind(outputs)
