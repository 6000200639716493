"""Softmax, row by row. Contract: the package's docstring."""

from dnnkit.kernels._numba.exponentials import exp_of_negative
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.lanes import largest_of


@jit
def forward(x, out):
    """Write the softmax of the rows of x (B, C) to out (B, C), which may be x."""
    for i in range(x.shape[0]):
        largest = largest_of(x[i])
        for k in range(x.shape[1]):  # separate from the sum, whose order is fixed, so that this loop is vectorized
            out[i, k] = exp_of_negative(x[i, k] - largest)
        total = out.dtype.type(0)
        for k in range(x.shape[1]):
            total += out[i, k]
        for k in range(x.shape[1]):
            out[i, k] /= total


@jit
def backward(dy, y, out):
    """Write y (dy - Σ y dy) of the rows of dy and y (B, C) to out (B, C), which may be dy."""
    for i in range(dy.shape[0]):
        dot = out.dtype.type(0)
        for k in range(dy.shape[1]):
            dot += y[i, k] * dy[i, k]
        for k in range(dy.shape[1]):
            out[i, k] = y[i, k] * (dy[i, k] - dot)
