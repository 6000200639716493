"""GELU, one element at a time; Numba inlines it into loops over arrays. Contract: the package's docstring."""

import math

from dnnkit.kernels._numba.error_functions import normal
from dnnkit.kernels._numba.jit import jit

ROOT_2_PI = math.sqrt(2 * math.pi)


@jit
def forward(x):
    return x * normal(x)[0]


@jit
def derivative(x):
    share, bell = normal(x)
    return share + x * bell * type(x)(1 / ROOT_2_PI)
