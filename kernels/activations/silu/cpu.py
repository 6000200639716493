"""SiLU, one element at a time; Numba inlines it into loops over arrays. Contract: the package's docstring."""

from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels.activations.sigmoid import cpu as sigmoid


@jit
def forward(x):
    return x * sigmoid.forward(x)


@jit
def derivative(x):
    return sigmoid.forward(x) * (type(x)(1) + x * sigmoid.forward(-x))
