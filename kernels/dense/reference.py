"""Dense layer with activation, in plain array code. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels.array import Array, Namespace
from dnnkit.kernels.registry import Activation


def forward(x: Array, w: Array, b: Array | None, activation: Activation, xp: Namespace = np) -> tuple[Array, Array]:
    """Return (y, what the backward pass needs: y or z)."""
    z = x @ w
    if b is not None:
        z = z + b
    y = activation.forward(z, xp=xp)
    return y, (y if activation.saves == "output" else z)


def backward(
    dy: Array,
    x: Array,
    w: Array,
    saved: Array,
    activation: Activation,
    needs_dx: bool,
    xp: Namespace = np,
) -> tuple[Array | None, Array, Array]:
    """Return (dx, or None if it is not needed; dw; db)."""
    dz = activation.backward(dy, saved, xp=xp)
    dx = dz @ w.T if needs_dx else None
    return dx, x.T @ dz, xp.sum(dz, axis=0)


def backward_input(dy: Array, w: Array, saved: Array, activation: Activation, xp: Namespace = np) -> Array:
    """Return dx only, for frozen w and b."""
    return activation.backward(dy, saved, xp=xp) @ w.T
