"""Sigmoid cross-entropy, element by element. Contract: the package's docstring."""

from dnnkit.kernels._numba.elements import add_up_elements, row_of_elements
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.logarithms import log1p_and_logistic


@jit
def term_and_slope(z, t):
    zero = type(z)(0)
    log, large, small = log1p_and_logistic(abs(z))
    return (zero if z < zero else z) - z * t + log, (large if z > zero else small) - t


@jit
def add_up(logits, targets, weights, scale, gradient):
    """Return the weighted sum of the rows' losses; write `scale` times its gradient to `gradient`."""
    return add_up_elements(term_and_slope, logits, targets, weights, scale, gradient)


@jit
def row(i, logits, targets, factor, out):
    """Return the loss of row i; write `factor` times its gradient to row i of out."""
    return row_of_elements(term_and_slope, i, logits, targets, factor, out)
