"""SiLU, one element at a time; Numba inlines it into loops over arrays. Contract: the package's docstring."""

from dnnkit.kernels._numba.exponentials import logistic
from dnnkit.kernels._numba.jit import jit


@jit
def forward(x):
    return x * logistic(x)[0]


@jit
def derivative(x):
    share, rest = logistic(x)
    return share * (type(x)(1) + x * rest)
