"""Products of compressed rows, in plain array code. Contract: the package's docstring."""

from collections.abc import Iterator

import numpy as np

from dnnkit.kernels.array import Array
from dnnkit.kernels.compressed_rows import entries

TERMS = 1 << 18
"""Approximate number of terms that are in memory at a time."""


def product(starts: Array, columns: Array, values: Array, rows: Array, w: Array, out: Array) -> Array:
    """Write x[rows] · w to `out`, (B, O), and return it."""
    out[...] = 0
    for first, last in _blocks(starts, rows, w.shape[1]):
        found, ends = entries(starts, rows[first:last])
        filled = np.flatnonzero(np.diff(ends))
        if len(filled):
            terms = values[found, None] * w[columns[found]]
            out[first + filled] = np.add.reduceat(terms, ends[filled], axis=0)
    return out


def transposed_product(starts: Array, columns: Array, values: Array, rows: Array, y: Array, out: Array) -> Array:
    """Write x[rows]ᵀ · y to `out`, (F, O), and return it."""
    out[...] = 0
    for first, last in _blocks(starts, rows, y.shape[1]):
        found, ends = entries(starts, rows[first:last])
        order = np.argsort(columns[found], kind="stable")  # by columns, and within a column by rows
        used, begins = np.unique(columns[found][order], return_index=True)
        if len(used):
            row = np.repeat(np.arange(first, last), np.diff(ends))[order]
            out[used] += np.add.reduceat(values[found][order, None] * y[row], begins, axis=0)
    return out


def _blocks(starts: Array, rows: Array, outputs: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of the rows with about TERMS terms, at least one row each."""
    ends, first = np.cumsum((starts[rows + 1] - starts[rows]) * outputs), 0
    while first < len(rows):
        before = ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + TERMS, "right")))
        yield first, last
        first = last
