"""Philox4x32-10, block by block. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels.philox.reference import MASK, MULTIPLIERS, ROUNDS, WEYL

M0, M1 = np.uint64(MULTIPLIERS[0]), np.uint64(MULTIPLIERS[1])
W0, W1 = np.uint64(WEYL[0]), np.uint64(WEYL[1])
LOW, HALF = np.uint64(MASK), np.uint64(32)


@jit
def philox(c0, c1, c2, c3, k0, k1):
    """Return four words of 32 random bits for a counter and a key (uint64 holding 32 bits each)."""
    for _ in range(ROUNDS):
        product0 = c0 * M0
        product1 = c2 * M1
        c0, c1, c2, c3 = (
            (product1 >> HALF) ^ c1 ^ k0,
            product1 & LOW,
            (product0 >> HALF) ^ c3 ^ k1,
            product0 & LOW,
        )
        k0, k1 = (k0 + W0) & LOW, (k1 + W1) & LOW
    return c0, c1, c2, c3
