"""Clipping, in plain array code; the oracle in float64. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels.array import Array, Namespace


def clip_norm(x: Array, bound: float, xp: Namespace = np) -> Array:
    """Return x, scaled down to the Euclidean norm `bound` if its norm is larger."""
    norm = xp.sqrt(xp.sum(x * x))
    return x * (bound / xp.maximum(norm, xp.full_like(norm, bound)))


def clip_value(x: Array, bound: float, xp: Namespace = np) -> Array:
    """Return x with each element clamped to [-bound, bound]."""
    return xp.clip(x, -bound, bound)
