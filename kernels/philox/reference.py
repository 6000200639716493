"""Philox4x32-10, in plain array code. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels.array import Array, Namespace

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
MASK = 0xFFFFFFFF


def philox(counter: tuple[Array, ...], key: tuple[int, int], xp: Namespace = np) -> tuple[Array, ...]:
    """Return four words of 32 random bits per counter (four uint64 arrays holding 32 bits each)."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        product0 = c0 * MULTIPLIERS[0]
        product1 = c2 * MULTIPLIERS[1]
        c0, c1, c2, c3 = (
            (product1 >> 32) ^ c1 ^ k0,
            product1 & MASK,
            (product0 >> 32) ^ c3 ^ k1,
            product0 & MASK,
        )
        k0, k1 = (k0 + WEYL[0]) & MASK, (k1 + WEYL[1]) & MASK
    return c0, c1, c2, c3


def random_bits(start: int, count: int, layer: int, step: int, seed: int, purpose: int, xp: Namespace = np) -> Array:
    """Return words start … start + count - 1 of a layer's stream at a step, uint32 (count,)."""
    first = start // 4
    blocks = xp.arange(first, (start + count + 3) // 4, dtype=xp.uint64)
    rest = [xp.full_like(blocks, word) for word in (layer, step & MASK, step >> 32)]
    words = xp.stack(philox((blocks, *rest), (seed, purpose), xp), axis=1)
    return xp.astype(xp.reshape(words, (-1,))[start - 4 * first :][:count], xp.uint32)
