"""Leaky ReLU, in plain array code; the oracle in float64. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels.array import Array, Namespace

SLOPE = 0.01


def forward(x: Array, xp: Namespace = np) -> Array:
    """x where x > 0, else 0.01 x."""
    return xp.where(x > 0, x, SLOPE * x)


def derivative(x: Array, xp: Namespace = np) -> Array:
    """1 where x > 0, else 0.01."""
    return xp.where(x > 0, xp.ones_like(x), SLOPE * xp.ones_like(x))


def derivative_from_output(y: Array, xp: Namespace = np) -> Array:
    """1 where y > 0, else 0.01: y has the sign of x."""
    return derivative(y, xp=xp)
