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

CACHED = 1 << 19
"""Bytes of a up to which it is read in place."""

CACHED_AT_ONCE = 1 << (19 if REGISTER_BYTES == 64 else 18)
"""Bytes of `DEPTH` columns of a, which are read again for every two vectors of columns of b: at most half of a
second-level cache. Processors with AVX-512 have 1 MiB and more, others 512 KiB.
"""

OFFERED = 1 << 20
"""Multiplications from which a product is offered to other threads (offer.py): about 15 µs."""

OFFER_WORDS = 32
"""64-bit words of an offer: four cache lines."""

LARGEST, LARGEST_AT_ONCE = (1 << 21, 1 << 20) if REGISTER_BYTES == 64 else (CACHED, CACHED_AT_ONCE)
"""The same two bounds where no row or column is read by its number."""


def fits_tiles(rows: int, columns: int, itemsize: int) -> bool:
    """Whether an a of this shape, or its transpose, is small enough to be read in place, by numbers of its rows."""
    at_once = rows * min(columns, DEPTH) * itemsize
    return FUSED and rows * columns * itemsize <= CACHED and at_once <= CACHED_AT_ONCE


def is_read_once(columns: int, itemsize: int) -> bool:
    """Whether a product with this many columns reads a only once, so that the size of a does not matter."""
    return FUSED and columns * itemsize <= 2 * REGISTER_BYTES


def multiplies_in_tiles(rows: int, depth: int, columns: int, itemsize: int) -> bool:
    """Whether the product of a (rows, depth), or its transpose, by this many columns is computed in tiles.

    With one block of columns, a is read only once, so its size does not matter. Otherwise the BLAS computes it.
    """
    at_once = rows * min(depth, DEPTH) * itemsize
    few = columns * itemsize <= 2 * REGISTER_BYTES
    return FUSED and (few or (rows * depth * itemsize <= LARGEST and at_once <= LARGEST_AT_ONCE))


def columns_fit_tiles(rows: int, columns: int, itemsize: int) -> bool:
    """As `fits_tiles`, where a is data of which only the nonzero columns are read."""
    return FUSED and rows * columns * itemsize <= CACHED


def most_rows(columns: int, itemsize: int) -> int:
    """Return the maximum rows of an a with this many columns for `fits_tiles`, where tiles are supported at all."""
    columns = max(1, columns)
    return min(CACHED // (columns * itemsize), CACHED_AT_ONCE // (min(columns, DEPTH) * itemsize))
