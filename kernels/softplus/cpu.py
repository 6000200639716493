"""Softplus, one element at a time: Numba compiles it into loops over slices. Contract: the package's docstring."""

import math

from dnnkit.kernels.compiled import scalar


@scalar
def forward(x):
    zero = type(x)(0)
    return (zero if x < zero else x) + type(x)(math.log1p(math.exp(-abs(x))))


@scalar
def derivative_from_output(y):
    return -type(y)(math.expm1(-y))
