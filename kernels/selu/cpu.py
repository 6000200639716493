"""SELU, one element at a time: Numba compiles it into loops over slices. Contract: the package's docstring."""

import math

from dnnkit.kernels.compiled import scalar
from dnnkit.kernels.selu.reference import ALPHA, SCALE


@scalar
def forward(x):
    kind = type(x)
    return kind(SCALE) * (x if x > 0 else kind(ALPHA) * kind(math.expm1(x)))


@scalar
def derivative_from_output(y):
    kind = type(y)
    return kind(SCALE) if y > 0 else y + kind(SCALE * ALPHA)
