"""Weight penalties, in plain array code. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels.array import Array, Namespace


def penalty(w: Array, l1: Array, l2: Array, xp: Namespace = np) -> Array:
    """Return Σ l1 |w| + l2 w², a float64 scalar."""
    return xp.sum(xp.astype(l1 * xp.abs(w) + l2 * (w * w), xp.float64))


def gradient(w: Array, dw: Array, l1: Array, l2: Array, xp: Namespace = np) -> Array:
    """Return the gradient dw plus that of the penalty."""
    return dw + (l1 * xp.sign(w) + 2 * l2 * w)
