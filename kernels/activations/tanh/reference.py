"""Tanh, in plain array code; the oracle in float64. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels.array import Array, Namespace


def forward(x: Array, xp: Namespace = np) -> Array:
    """tanh(x)."""
    return xp.tanh(x)


def derivative(x: Array, xp: Namespace = np) -> Array:
    """4 z / (1 + z)², z = exp(-2 |x|): no difference of nearly equal numbers, unlike 1 - tanh(x)²."""
    z = xp.exp(-2 * xp.abs(x))
    return 4 * z / ((1 + z) * (1 + z))


def derivative_from_output(y: Array, xp: Namespace = np) -> Array:
    """1 - y²."""
    return 1 - y * y
