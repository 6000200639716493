"""Products of compressed rows, in plain array code. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels.array import Array, Namespace


def product(starts: Array, columns: Array, values: Array, rows: Array, w: Array, xp: Namespace = np) -> Array:
    """Return x[rows] · w, (B, O)."""
    return xp.matmul(_dense(starts, columns, values, rows, w.shape[0], xp), w)


def transposed_product(
    starts: Array, columns: Array, values: Array, rows: Array, y: Array, features: int, xp: Namespace = np
) -> Array:
    """Return x[rows]ᵀ · y, (F, O)."""
    return xp.matmul(xp.matrix_transpose(_dense(starts, columns, values, rows, features, xp)), y)


def _dense(starts: Array, columns: Array, values: Array, rows: Array, features: int, xp: Namespace) -> Array:
    """Return x[rows], (B, F)."""
    if values.shape[0] == 0:
        return xp.zeros((rows.shape[0], features), dtype=values.dtype)
    row_of = xp.searchsorted(starts, xp.arange(values.shape[0]), side="right") - 1
    places = row_of * features + columns  # in the dense table; ascending
    wanted = xp.reshape(rows, (-1, 1)) * features + xp.arange(features)
    flat = xp.reshape(wanted, (-1,))
    nearest = xp.clip(xp.searchsorted(places, flat), max=values.shape[0] - 1)
    is_stored = xp.take(places, nearest) == flat
    return xp.reshape(xp.where(is_stored, xp.take(values, nearest), xp.zeros_like(values[:1])), wanted.shape)
