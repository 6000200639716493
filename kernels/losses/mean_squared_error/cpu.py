"""Mean squared error, element by element. Contract: the package's docstring."""

from dnnkit.kernels._numba.elements import add_up_elements, row_of_elements
from dnnkit.kernels._numba.jit import jit


@jit
def term_and_slope(y, t):
    difference = y - t
    return difference * difference, difference + difference


@jit
def add_up(predictions, targets, weights, scale, gradient):
    """Return the weighted sum of the rows' losses; write `scale` times its gradient to `gradient`."""
    return add_up_elements(term_and_slope, predictions, targets, weights, scale, gradient)


@jit
def row(i, predictions, targets, factor, out):
    """Return the loss of row i; write `factor` times its gradient to row i of out."""
    return row_of_elements(term_and_slope, i, predictions, targets, factor, out)
