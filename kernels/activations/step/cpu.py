"""Step, one element at a time; Numba inlines it into loops over arrays. Contract: the package's docstring."""

from dnnkit.kernels._numba.jit import jit


@jit
def forward(x):
    return type(x)(1) if x > 0 else type(x)(0)


@jit
def derivative_from_output(y):
    return type(y)(0)
