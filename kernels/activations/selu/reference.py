"""SELU, in plain array code; the oracle in float64. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels.array import Array, Namespace

SCALE = 1.0507009873554804934193349852946
ALPHA = 1.6732632423543772848170429916717


def forward(x: Array, xp: Namespace = np) -> Array:
    """s x where x > 0, else s a expm1(x)."""
    return SCALE * xp.where(x > 0, x, ALPHA * xp.expm1(xp.minimum(x, xp.zeros_like(x))))


def derivative(x: Array, xp: Namespace = np) -> Array:
    """s where x > 0, else s a exp(x)."""
    negative = ALPHA * xp.exp(xp.minimum(x, xp.zeros_like(x)))
    return SCALE * xp.where(x > 0, xp.ones_like(x), negative)


def derivative_from_output(y: Array, xp: Namespace = np) -> Array:
    """s where y > 0, else y + s a."""
    return xp.where(y > 0, SCALE * xp.ones_like(y), y + SCALE * ALPHA)
