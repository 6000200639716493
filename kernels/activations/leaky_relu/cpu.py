"""Leaky ReLU, one element at a time; Numba inlines it into loops over arrays. Contract: the package's docstring."""

from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels.activations.leaky_relu.reference import SLOPE


@jit
def forward(x):
    return x if x > 0 else type(x)(SLOPE) * x


@jit
def derivative_from_output(y):
    return type(y)(1) if y > 0 else type(y)(SLOPE)
