"""GELU, one element at a time; Numba inlines it into loops over arrays. Contract: the package's docstring."""

import math

from dnnkit.kernels._numba.elementary import erfc, erfc_and_exp
from dnnkit.kernels._numba.jit import jit

ROOT_2 = math.sqrt(2)
ROOT_2_PI = math.sqrt(2 * math.pi)


@jit
def forward(x):
    kind = type(x)
    return x * kind(0.5) * erfc(-x / kind(ROOT_2))


@jit
def derivative(x):
    kind = type(x)
    twice, bell = erfc_and_exp(-x / kind(ROOT_2))
    return kind(0.5) * twice + x * bell * kind(1 / ROOT_2_PI)
