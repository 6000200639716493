"""Which products are computed in tiles, and which by the BLAS."""

from dnnkit.kernels._target.processor import FUSED, REGISTER_BYTES

CACHED = 1 << (19 if REGISTER_BYTES == 64 else 18)
"""Bytes of a up to which it is read where it is: half of a second-level cache, or less. Processors with AVX-512 have
1 MiB and more, others 512 KiB: there 784-512-10 in batches of 128 takes a fifth less time than if x had 512 KiB.
"""

CACHED_COLUMNS = 1 << 19
"""The same of data of whose columns only those are read that are not zero in a batch."""


def fits_tiles(elements: int, itemsize: int) -> bool:
    """Whether a product with so many elements of a, or with its transpose, is computed here, not by the BLAS."""
    return FUSED and elements * itemsize <= CACHED


def columns_fit_tiles(elements: int, itemsize: int) -> bool:
    """The same where a is data of whose columns only those are read that are not zero."""
    return FUSED and elements * itemsize <= CACHED_COLUMNS
