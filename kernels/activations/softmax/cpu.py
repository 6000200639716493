"""Softmax, row by row. Contract: the package's docstring."""

from dnnkit.kernels._numba.elementary import exp
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.lanes import largest_of


@jit
def forward(x, out):
    """Rows of x (B, C) to rows of out (B, C), which may be x."""
    for i in range(x.shape[0]):
        largest = largest_of(x[i])
        for k in range(x.shape[1]):  # apart from the sum, which must keep its order: so this loop is vectorised
            out[i, k] = exp(x[i, k] - largest)
        total = out.dtype.type(0)
        for k in range(x.shape[1]):
            total += out[i, k]
        for k in range(x.shape[1]):
            out[i, k] /= total


@jit
def backward(dy, y, out):
    """Rows of dy and y (B, C) to rows of out (B, C), which may be dy."""
    for i in range(dy.shape[0]):
        dot = out.dtype.type(0)
        for k in range(dy.shape[1]):
            dot += y[i, k] * dy[i, k]
        for k in range(dy.shape[1]):
            out[i, k] = y[i, k] * (dy[i, k] - dot)
