"""Which products are computed in tiles, and which by the BLAS."""

from dnnkit.kernels._target.processor import FUSED, REGISTER_BYTES

DEPTH = 256
"""Columns of a, and rows of b, that are multiplied before the next: those of b, two vectors wide, are packed, which is
32 KiB with AVX-512, and stays in the first-level cache."""

CACHED = 1 << 19
"""Bytes of a up to which it is read where it is."""

CACHED_AT_ONCE = 1 << (19 if REGISTER_BYTES == 64 else 18)
"""The same of `DEPTH` columns of it, which are read again for each two vectors of columns of b: half of a second-level
cache, or less. Processors with AVX-512 have 1 MiB and more, others 512 KiB."""

LARGEST, LARGEST_AT_ONCE = (1 << 21, 1 << 20) if REGISTER_BYTES == 64 else (CACHED, CACHED_AT_ONCE)
"""The same two where nothing is read by its number."""


def fits_tiles(rows: int, columns: int, itemsize: int) -> bool:
    """Whether an a of that shape, or its transpose, is read where it is, by numbers of its rows and columns."""
    at_once = rows * min(columns, DEPTH) * itemsize
    return FUSED and rows * columns * itemsize <= CACHED and at_once <= CACHED_AT_ONCE


def multiplies_in_tiles(rows: int, depth: int, columns: int, itemsize: int) -> bool:
    """Whether a product of (rows, depth), or its transpose, and so many columns is computed here, not by the BLAS.

    Of one block of columns all of a is read once, wherever it is.
    """
    at_once = rows * min(depth, DEPTH) * itemsize
    few = columns * itemsize <= 2 * REGISTER_BYTES
    return FUSED and (few or (rows * depth * itemsize <= LARGEST and at_once <= LARGEST_AT_ONCE))


def columns_fit_tiles(rows: int, columns: int, itemsize: int) -> bool:
    """The same where a is data of whose columns only those are read that are not zero."""
    return FUSED and rows * columns * itemsize <= CACHED


def most_rows(columns: int, itemsize: int) -> int:
    """How many rows an a of so many columns may have for `fits_tiles`, wherever tiles are made at all."""
    columns = max(1, columns)
    return min(CACHED // (columns * itemsize), CACHED_AT_ONCE // (min(columns, DEPTH) * itemsize))
