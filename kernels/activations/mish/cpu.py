"""Mish, one element at a time; Numba inlines it into loops over arrays. Contract: the package's docstring."""

from dnnkit.kernels._numba.elementary import exp
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels.activations.sigmoid import cpu as sigmoid


@jit
def _gate(x):
    """Return t = tanh(softplus(x)) and 1 - t², as in the reference."""
    kind = type(x)
    one, two = kind(1), kind(2)
    z = exp(-abs(x))
    numerator = one + two * z if x >= 0 else z * (z + two)
    denominator = numerator + (two * z * z if x >= 0 else two)
    root = two * (one + z) * (z if x >= 0 else one) / denominator
    return numerator / denominator, root * root


@jit
def forward(x):
    return x * _gate(x)[0]


@jit
def derivative(x):
    t, one_minus_t_squared = _gate(x)
    return t + x * one_minus_t_squared * sigmoid.forward(x)
