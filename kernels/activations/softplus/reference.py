"""Softplus, in plain array code; the oracle in float64. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels.activations.sigmoid import reference as sigmoid
from dnnkit.kernels.array import Array, Namespace


def forward(x: Array, xp: Namespace = np) -> Array:
    """max(x, 0) + log1p(exp(-|x|))."""
    return xp.maximum(x, xp.zeros_like(x)) + xp.log1p(xp.exp(-xp.abs(x)))


def derivative(x: Array, xp: Namespace = np) -> Array:
    """σ(x)."""
    return sigmoid.forward(x, xp=xp)


def derivative_from_output(y: Array, xp: Namespace = np) -> Array:
    """1 - exp(-y)."""
    return -xp.expm1(-y)
