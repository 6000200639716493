"""ReLU, one element at a time: Numba compiles it into loops over slices. Contract: the package's docstring."""

from dnnkit.kernels._numba.jit import jit


@jit
def forward(x):
    zero = type(x)(0)
    return zero if x < zero else x  # the comparison is this way round so that NaN comes through


@jit
def derivative_from_output(y):
    return type(y)(1) if y > 0 else type(y)(0)
