"""Products of compressed rows, in plain array code. Contract: the package's docstring.

Rows become dense in those columns only that any of them uses, a block at a time, and a BLAS multiplies these.
"""

from collections.abc import Iterator

import numpy as np

from dnnkit.kernels.array import Array
from dnnkit.kernels.compressed_rows import entries

BLOCK = 1 << 22
"""Maximum number of elements of a block, unless it is a single row."""


def product(starts: Array, columns: Array, values: Array, rows: Array, w: Array, out: Array) -> Array:
    """Write x[rows] · w to `out`, (B, O), and return it."""
    for part, used, block in _blocks(starts, columns, values, rows, len(w)):
        np.matmul(block, w if len(used) == len(w) else w[used], out=out[part])
    return out


def transposed_product(starts: Array, columns: Array, values: Array, rows: Array, y: Array, out: Array) -> Array:
    """Write x[rows]ᵀ · y to `out`, (F, O), and return it."""
    out[...] = 0
    for part, used, block in _blocks(starts, columns, values, rows, len(out)):
        out[used] += block.T @ y[part]
    return out


def _blocks(
    starts: Array, columns: Array, values: Array, rows: Array, features: int
) -> Iterator[tuple[slice, Array, Array]]:
    """Yield blocks of the rows: the slice of `rows`, the columns that are used, and the rows in these columns."""
    size = max(1, BLOCK // features)
    for first in range(0, len(rows), size):
        part = slice(first, min(first + size, len(rows)))
        found, ends = entries(starts, rows[part])
        here = columns[found]
        place = np.zeros(features, np.int64)
        place[here] = 1
        used = np.flatnonzero(place)
        place[used] = np.arange(len(used))
        block = np.zeros((len(ends) - 1, len(used)), values.dtype)
        block[np.repeat(np.arange(len(block)), np.diff(ends)), place[here]] = values[found]
        yield part, used, block
