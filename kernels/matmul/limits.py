"""Limits that decide which products are computed in tiles, and which by the BLAS."""

from dnnkit.kernels._target.processor import FUSED, REGISTER_BYTES

DEPTH = 256
"""Columns of a, and rows of b, per block of the depth: b's, two vectors wide, are packed into 32 KiB with AVX-512,
which stays in the first-level cache.
"""

DEPTH_OF_COLUMNS = 128
"""The same where rows of a are columns in memory: each number of eight rows then lies in other cache lines, so that
tiles of 256 would push b's panel out of a first-level cache of 32 or 48 KiB.
"""

LARGEST, LARGEST_AT_ONCE = (1 << 21, 1 << 20) if REGISTER_BYTES == 64 else (1 << 19, 1 << 18)
"""Bytes of a up to which it is read in place, and of `DEPTH` columns of a, which are read again for every two vectors
of columns of b, from a second-level cache. Processors with AVX-512 have 1 MiB and more, others 512 KiB.
"""

PREDICTED, PREDICTED_AT_ONCE = 1 << 19, 1 << (19 if REGISTER_BYTES == 64 else 18)
"""The same for the rows that are predicted at a time: the values of their layers are in that cache, too."""

MOST_TILE_ROWS = 8
"""Maximum rows of a tile of two vectors of columns."""

PACKED_AREA = 1 << 19
"""Maximum bytes of packed rows of a: half of a second-level cache, or a quarter."""

PACKED_BY_INDEX, PACKED_BY_COLUMNS = (1 << 16, 8 * REGISTER_BYTES), (1 << 19, 3 * REGISTER_BYTES)
"""Bytes of a, and per row of b, from which rows of a that are columns in memory are packed: if these follow an index
array, or are in order.
"""

LARGEST_PACKED = 1 << 22
"""Bytes of a up to which it is packed."""

OFFERED = 1 << 20
"""Multiplications from which a product is offered to other threads (offer.py): about 15 µs."""


def fits_tiles(rows: int, columns: int, itemsize: int) -> bool:
    """Whether an a of this shape, or its transpose, is small enough to be read in place."""
    at_once = rows * min(columns, DEPTH) * itemsize
    return FUSED and rows * columns * itemsize <= LARGEST and at_once <= LARGEST_AT_ONCE


def is_read_once(columns: int, itemsize: int) -> bool:
    """Whether a product with this many columns reads a only once, so that the size of a does not matter."""
    return FUSED and columns * itemsize <= 2 * REGISTER_BYTES


def multiplies_in_tiles(rows: int, depth: int, columns: int, itemsize: int) -> bool:
    """Whether the product of a (rows, depth), or its transpose, by this many columns is computed in tiles.

    With one block of columns, a is read only once, so its size does not matter. Otherwise the BLAS computes it.
    """
    at_once = rows * min(depth, DEPTH) * itemsize  # as `fits_tiles`; compiled code calls this function
    few = columns * itemsize <= 2 * REGISTER_BYTES
    return FUSED and (few or (rows * depth * itemsize <= LARGEST and at_once <= LARGEST_AT_ONCE))


def columns_fit_tiles(rows: int, columns: int, itemsize: int) -> bool:
    """As `fits_tiles`, where a is data of which only the nonzero columns are read."""
    return FUSED and rows * columns * itemsize <= LARGEST


def most_rows(columns: int, itemsize: int) -> int:
    """Return the maximum rows, with this many columns, that are predicted at a time."""
    columns = max(1, columns)
    return min(PREDICTED // (columns * itemsize), PREDICTED_AT_ONCE // (min(columns, DEPTH) * itemsize))


def packed_bytes(rows: int, inputs: int, outputs: int, itemsize: int) -> int:
    """Return the bytes of memory that the gradient of a dense layer's kernel uses for packed rows of a; 0 for none."""
    rules, given, columns = (PACKED_BY_INDEX, PACKED_BY_COLUMNS), rows * inputs * itemsize, outputs * itemsize
    if not FUSED or not any(given >= least and columns >= least_columns for least, least_columns in rules):
        return 0
    return max(min(PACKED_AREA, min(rows, DEPTH) * inputs * itemsize), MOST_TILE_ROWS * DEPTH * itemsize)
