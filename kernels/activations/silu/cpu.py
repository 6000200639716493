"""SiLU, one element at a time: Numba compiles it into loops over slices. Contract: the package's docstring."""

from dnnkit.kernels._numba.jit import inline
from dnnkit.kernels.activations.sigmoid import cpu as sigmoid


@inline
def forward(x):
    return x * sigmoid.forward(x)


@inline
def derivative(x):
    return sigmoid.forward(x) * (type(x)(1) + x * sigmoid.forward(-x))
