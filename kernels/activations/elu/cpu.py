"""ELU, one element at a time: Numba compiles it into loops over slices. Contract: the package's docstring."""

from dnnkit.kernels._numba.elementary import expm1_of_negative
from dnnkit.kernels._numba.jit import jit


@jit
def forward(x):
    # Both are computed: a choice between values is vectorised, a branch around a call is not.
    negative = expm1_of_negative(type(x)(0) if x > 0 else x)
    return x if x > 0 else negative


@jit
def derivative_from_output(y):
    return type(y)(1) if y > 0 else y + type(y)(1)
