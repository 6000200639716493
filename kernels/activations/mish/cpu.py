"""Mish, one element at a time; Numba inlines it into loops over arrays. Contract: the package's docstring."""

from dnnkit.kernels._numba.exponentials import exp
from dnnkit.kernels._numba.jit import jit


@jit
def _gate(x):
    """Return t = tanh(softplus(x)), 1 - t² as in the reference, and sigmoid(x)."""
    kind = type(x)
    one, two = kind(1), kind(2)
    z = exp(-abs(x))
    numerator = one + two * z if x >= 0 else z * (z + two)
    denominator = numerator + (two * z * z if x >= 0 else two)
    root = two * (one + z) * (z if x >= 0 else one) / denominator
    return numerator / denominator, root * root, (one if x >= 0 else z) / (one + z)


@jit
def forward(x):
    return x * _gate(x)[0]


@jit
def derivative(x):
    t, one_minus_t_squared, share = _gate(x)
    return t + x * one_minus_t_squared * share
