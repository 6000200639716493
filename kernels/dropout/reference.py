"""Dropout, in plain array code. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels.array import Array, Namespace
from dnnkit.kernels.dropout import PURPOSE
from dnnkit.kernels.philox.reference import random_bits


def mask(start: int, count: int, rate: float, seed: int, layer: int, step: int, xp: Namespace = np) -> Array:
    """Which of the elements start … start + count - 1 are kept: bool (count,)."""
    bits = random_bits(start, count, layer, step, seed, PURPOSE, xp)
    return bits >= xp.asarray(int(rate * 2**32), dtype=xp.uint32)


def apply(x: Array, keep: Array, rate: float, xp: Namespace = np) -> Array:
    """x where kept, scaled by 1 / (1 - rate), else 0; also the backward pass, on dy."""
    return xp.where(keep, x, xp.zeros_like(x)) * (1 / (1 - rate))
