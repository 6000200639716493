"""ELU, one element at a time; Numba inlines it into loops over arrays. Contract: the package's docstring."""

from dnnkit.kernels._numba.exponentials import expm1_of_negative
from dnnkit.kernels._numba.jit import jit


@jit
def forward(x):
    # Both branches are computed: a select is vectorized, a branch around a call is not.
    negative = expm1_of_negative(type(x)(0) if x > 0 else x)
    return x if x > 0 else negative


@jit
def derivative_from_output(y):
    return type(y)(1) if y > 0 else y + type(y)(1)
