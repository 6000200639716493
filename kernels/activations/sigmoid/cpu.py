"""Sigmoid, one element at a time; Numba inlines it into loops over arrays. Contract: the package's docstring."""

from dnnkit.kernels._numba.elementary import exp
from dnnkit.kernels._numba.jit import jit


@jit
def forward(x):
    one = type(x)(1)
    z = exp(-abs(x))
    return one / (one + z) if x >= 0 else z / (one + z)


@jit
def derivative_from_output(y):
    return y * (type(y)(1) - y)
