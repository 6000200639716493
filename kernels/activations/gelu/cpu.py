"""GELU, one element at a time; Numba inlines it into loops over arrays. Contract: the package's docstring."""

import math

from dnnkit.kernels._numba.elementary import normal_tail
from dnnkit.kernels._numba.jit import jit

ROOT_2_PI = math.sqrt(2 * math.pi)


@jit
def forward(x):
    kind = type(x)
    return x * kind(0.5) * normal_tail(-x)[0]


@jit
def derivative(x):
    kind = type(x)
    twice, bell = normal_tail(-x)
    return kind(0.5) * twice + x * bell * kind(1 / ROOT_2_PI)
