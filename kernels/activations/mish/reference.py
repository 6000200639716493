"""Mish, in plain array code; the oracle in float64. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels.activations.sigmoid import reference as sigmoid
from dnnkit.kernels.array import Array, Namespace


def forward(x: Array, xp: Namespace = np) -> Array:
    """x t."""
    return x * _gate(x, xp)[0]


def derivative(x: Array, xp: Namespace = np) -> Array:
    """t + x (1 - t²) σ(x)."""
    t, one_minus_t_squared = _gate(x, xp)
    return t + x * one_minus_t_squared * sigmoid.forward(x, xp=xp)


def _gate(x: Array, xp: Namespace) -> tuple[Array, Array]:
    """t = tanh(softplus(x)) and 1 - t², from z = exp(-|x|) without a difference of nearly equal numbers."""
    z = xp.exp(-xp.abs(x))
    positive = x >= 0
    numerator = xp.where(positive, 1 + 2 * z, z * (z + 2))
    denominator = numerator + xp.where(positive, 2 * z * z, 2 * xp.ones_like(z))
    root = 2 * (1 + z) * xp.where(positive, z, xp.ones_like(z)) / denominator
    return numerator / denominator, root * root
