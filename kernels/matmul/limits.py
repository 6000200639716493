"""Which products are computed in tiles, and which by the BLAS."""

from dnnkit.kernels._target.processor import FUSED

CACHED = 1 << 19
"""Bytes of a up to which it is read where it is: half of a second-level cache, or less."""


def fits_tiles(elements: int, itemsize: int) -> bool:
    """Whether a product with so many elements of a, or with its transpose, is computed here, not by the BLAS."""
    return FUSED and elements * itemsize <= CACHED
