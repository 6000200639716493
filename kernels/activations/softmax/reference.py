"""Softmax, in plain array code; the oracle in float64. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels.array import Array, Namespace


def forward(x: Array, axis: int = -1, xp: Namespace = np) -> Array:
    """exp(x - max) / Σ exp(x - max) along `axis`."""
    z = xp.exp(x - xp.max(x, axis=axis, keepdims=True))
    return z / xp.sum(z, axis=axis, keepdims=True)


def backward(dy: Array, y: Array, axis: int = -1, xp: Namespace = np) -> Array:
    """y (dy - Σ y dy) along `axis`."""
    return y * (dy - xp.sum(y * dy, axis=axis, keepdims=True))


def jacobian(x: Array, xp: Namespace = np) -> Array:
    """∂y_i / ∂x_k = y_i (δ_ik - y_k), shape (..., C, C)."""
    y = forward(x, xp=xp)
    identity = xp.eye(x.shape[-1], dtype=x.dtype)
    return y[..., :, None] * (identity - y[..., None, :])
