"""GELU, in plain array code; the oracle in float64. Contract: the package's docstring."""

from math import pi, sqrt

import numpy as np

from dnnkit.kernels._reference.special import erfc
from dnnkit.kernels.array import Array, Namespace


def forward(x: Array, xp: Namespace = np) -> Array:
    """x Φ(x)."""
    return x * _normal_cdf(x, xp)


def derivative(x: Array, xp: Namespace = np) -> Array:
    """Φ(x) + x φ(x)."""
    density = xp.exp(-0.5 * x * x) / sqrt(2 * pi)
    return _normal_cdf(x, xp) + x * density


def _normal_cdf(x: Array, xp: Namespace) -> Array:
    return 0.5 * erfc(-x / sqrt(2), xp)
