"""ReLU, one element at a time; Numba inlines it into loops over arrays. Contract: the package's docstring."""

from dnnkit.kernels._numba.jit import jit


@jit
def forward(x):
    zero = type(x)(0)
    return zero if x < zero else x  # written this way so that NaN propagates


@jit
def derivative_from_output(y):
    return type(y)(1) if y > 0 else type(y)(0)
