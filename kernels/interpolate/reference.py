"""Interpolation, in plain array code; the oracle in float64. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels.array import Array, Namespace


def interpolate(x: Array, y: Array, share: float, xp: Namespace = np) -> Array:
    """Return (1 - share) x + share y."""
    return x * (1 - share) + y * share
