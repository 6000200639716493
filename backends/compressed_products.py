"""Products of compressed rows in NumPy: rows become dense in the columns that they use, and a BLAS multiplies that."""

from collections.abc import Iterator

import numpy as np

from dnnkit.kernels.array import Array
from dnnkit.kernels.compressed_rows import CompressedRows

BLOCK = 1 << 22
"""Maximum number of elements of a block, unless it is a single row."""


def product(x: CompressedRows, w: Array, out: Array) -> Array:
    """Write x · w to `out` and return it."""
    for part, used, block in _blocks(x):
        np.matmul(block, w if len(used) == len(w) else w[used], out=out[part])
    return out


def transposed_product(x: CompressedRows, y: Array, out: Array) -> Array:
    """Write xᵀ · y to `out` and return it."""
    out[...] = 0
    for part, used, block in _blocks(x):
        out[used] += block.T @ y[part]
    return out


def _blocks(x: CompressedRows) -> Iterator[tuple[slice, Array, Array]]:
    """Yield blocks of rows: the slice, the columns that are used, and the rows, dense in these columns."""
    size = max(1, BLOCK // x.features)
    for first in range(0, len(x), size):
        part = slice(first, min(first + size, len(x)))
        starts = x.starts[first : part.stop + 1]
        stored = slice(starts[0], starts[-1])
        columns = x.columns[stored]
        place = np.zeros(x.features, np.int64)
        place[columns] = 1
        used = np.flatnonzero(place)
        place[used] = np.arange(len(used))
        block = np.zeros((len(starts) - 1, len(used)), x.dtype)
        block[np.repeat(np.arange(len(block)), np.diff(starts)), place[columns]] = x.values[stored]
        yield part, used, block
