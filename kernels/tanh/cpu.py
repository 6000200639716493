"""Tanh, one element at a time: Numba compiles it into loops over slices. Contract: the package's docstring."""

from dnnkit.kernels.compiled import scalar
from dnnkit.kernels.elementary import tanh


@scalar
def forward(x):
    return tanh(x)


@scalar
def derivative_from_output(y):
    return type(y)(1) - y * y
