"""Dropout, in plain array code. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels.array import Array, Namespace
from dnnkit.kernels.dropout import PURPOSE
from dnnkit.kernels.philox.reference import random_bits


def mask(start: int, count: int, rate: float, seed: int, layer: int, step: int, xp: Namespace = np) -> Array:
    """Return which of the elements start … start + count - 1 are kept: bool (count,)."""
    bits = random_bits(start, count, layer, step, seed, PURPOSE, xp)
    return bits >= xp.asarray(int(rate * 2**32), dtype=xp.uint32)


def apply(x: Array, keep: Array, rate: float, xp: Namespace = np) -> Array:
    """Return x / (1 - rate) where kept, else 0. The backward pass is the same function of dy."""
    return xp.where(keep, x, xp.zeros_like(x)) * (1 / (1 - rate))
