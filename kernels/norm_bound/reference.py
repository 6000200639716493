"""Norm bound, in plain array code. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels.array import Array, Namespace


def constrain(w: Array, least: float, most: float, rate: float, not_negative: bool, xp: Namespace = np) -> Array:
    """Return w (I, O) with its columns' norms within the bounds."""
    if not_negative:
        return xp.where(w > 0, w, xp.zeros_like(w))
    norms = xp.sqrt(xp.sum(w * w, axis=0, keepdims=True))
    bounded = xp.where(norms > most, xp.full_like(norms, most), norms)
    bounded = xp.where(bounded < least, xp.full_like(norms, least), bounded)
    is_outside = (bounded != norms) & (norms > 0)
    ones = xp.ones_like(norms)
    wanted = norms + rate * (bounded - norms)
    return w * xp.where(is_outside, wanted / xp.where(is_outside, norms, ones), ones)
