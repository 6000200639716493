"""SELU, one element at a time; Numba inlines it into loops over arrays. Contract: the package's docstring."""

from dnnkit.kernels._numba.exponentials import expm1_of_negative
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels.activations.selu.reference import ALPHA, SCALE


@jit
def forward(x):
    kind = type(x)
    negative = kind(ALPHA) * expm1_of_negative(kind(0) if x > 0 else x)
    return kind(SCALE) * (x if x > 0 else negative)


@jit
def derivative_from_output(y):
    kind = type(y)
    return kind(SCALE) if y > 0 else y + kind(SCALE * ALPHA)
