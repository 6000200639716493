"""Nonzero columns, in plain array code. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels.array import Array, Namespace
from dnnkit.kernels.nonzero_columns import WORD, words


def mark(x: Array, xp: Namespace = np) -> tuple[Array, bool]:
    """Return the bits of x, and whether all of x is finite."""
    rows, features = x.shape
    count = words(features)
    fill = xp.zeros((rows, count * WORD - features), dtype=xp.bool)
    used = xp.reshape(xp.concat([x != 0, fill], axis=1), (rows, count, WORD))
    places = xp.bitwise_left_shift(xp.ones(WORD, dtype=xp.int64), xp.arange(WORD, dtype=xp.int64))
    bits = xp.sum(xp.where(used, places, xp.zeros_like(places)), axis=2)
    return bits, not xp.isdtype(x.dtype, "real floating") or bool(xp.all(xp.isfinite(x)))


def nonzero_columns(bits: Array, rows: Array, xp: Namespace = np) -> Array:
    """Return the columns that are nonzero in any of these rows, in order."""
    places = xp.arange(WORD, dtype=xp.int64)
    used = xp.bitwise_and(xp.bitwise_right_shift(xp.take(bits, rows, axis=0)[:, :, None], places), xp.ones_like(places))
    return xp.nonzero(xp.reshape(xp.any(used != 0, axis=0), (-1,)))[0]
