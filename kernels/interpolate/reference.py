"""Interpolation, in plain array code; the oracle in float64. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels.array import Array, Namespace


def interpolate(x: Array, y: Array, share: float, xp: Namespace = np) -> Array:
    """(1 - share) of x, and share of y."""
    return x * (1 - share) + y * share
