"""ELU, in plain array code; the oracle in float64. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels.array import Array, Namespace


def forward(x: Array, xp: Namespace = np) -> Array:
    """x where x > 0, else expm1(x)."""
    return xp.where(x > 0, x, xp.expm1(xp.minimum(x, xp.zeros_like(x))))


def derivative(x: Array, xp: Namespace = np) -> Array:
    """1 where x > 0, else exp(x)."""
    return xp.exp(xp.minimum(x, xp.zeros_like(x)))


def derivative_from_output(y: Array, xp: Namespace = np) -> Array:
    """1 where y > 0, else y + 1."""
    return xp.minimum(y, xp.zeros_like(y)) + 1
