"""Sigmoid, one element at a time; Numba inlines it into loops over arrays. Contract: the package's docstring."""

from dnnkit.kernels._numba.exponentials import logistic
from dnnkit.kernels._numba.jit import jit


@jit
def forward(x):
    return logistic(x)[0]


@jit
def derivative_from_output(y):
    return y * (type(y)(1) - y)
