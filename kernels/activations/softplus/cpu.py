"""Softplus, one element at a time; Numba inlines it into loops over arrays. Contract: the package's docstring."""

from dnnkit.kernels._numba.exponentials import exp, expm1_of_negative
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.logarithms import log1p_of_share


@jit
def forward(x):
    zero = type(x)(0)
    return (zero if x < zero else x) + log1p_of_share(exp(-abs(x)))


@jit
def derivative_from_output(y):
    return -expm1_of_negative(-y)
