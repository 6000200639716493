"""Offer of a product: threads that would wait compute blocks of it. Who computes a block changes no bit.

The state of an offer packs a sequence number, the number of blocks, and the next block, so that one compare-and-swap
claims a block of the current product. The state, the count of finished blocks, and the product's numbers are in cache
lines of their own.
"""

from dnnkit.kernels._numba import atomics
from dnnkit.kernels._numba.at_address import vector
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.structure import LINE_BYTES, WORD_BYTES
from dnnkit.kernels.matmul.offer_words import OFFER_WORDS

LINE = LINE_BYTES // WORD_BYTES
STATE, FINISHED, NUMBERS = 0, LINE, 2 * LINE
"""Indices of the words; zeros are an offer without blocks."""

COUNT = 18
"""Numbers of a product (blocks.py)."""

BITS = 16
MOST_BLOCKS = (1 << BITS) - 1

YIELD = 1 << 14
"""Number of polls, up to a millisecond, after which an owner that waits for another's block yields its processor. That
may cost a time slice, so it has to take longer than a block.
"""


@jit
def has_blocks(address):
    """Whether two blocks or more of an offer are not claimed: the last one its owner computes as fast."""
    state = atomics.load(vector(0, address, OFFER_WORDS), STATE)
    return (state & MOST_BLOCKS) + 1 < (state >> BITS) & MOST_BLOCKS


@jit
def open_offer(address, numbers, blocks):
    """Offer the blocks of a product; all blocks of the last one are finished."""
    offer = vector(0, address, OFFER_WORDS)
    for n in range(COUNT):
        offer[NUMBERS + n] = numbers[n]
    offer[FINISHED] = 0
    sequence = (offer[STATE] >> (2 * BITS)) + 1
    atomics.store(offer, STATE, sequence << (2 * BITS) | blocks << BITS)


@jit
def claim(address):
    """Claim a block; return its number, or -1 if none is left."""
    offer = vector(0, address, OFFER_WORDS)
    state = atomics.load(offer, STATE)
    while state & MOST_BLOCKS < (state >> BITS) & MOST_BLOCKS:
        if atomics.exchange_if(offer, STATE, state, state + 1):
            return state & MOST_BLOCKS
        state = atomics.load(offer, STATE)
    return -1


@jit
def numbers_of(address):
    """Return the numbers of the product; call this only between claiming and finishing a block."""
    n = vector(0, address + NUMBERS * WORD_BYTES, COUNT)
    return (
        n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9], n[10], n[11], n[12], n[13], n[14], n[15],
        n[16], n[17],
    )  # fmt: skip


@jit
def finish(address):
    """Count a claimed block as finished."""
    offer = vector(0, address, OFFER_WORDS)
    count = atomics.load(offer, FINISHED)
    while not atomics.exchange_if(offer, FINISHED, count, count + 1):
        count = atomics.load(offer, FINISHED)


@jit
def wait_until_finished(address, blocks):
    """Wait for the blocks that other threads have claimed."""
    offer, looked = vector(0, address, OFFER_WORDS), 0
    while atomics.load(offer, FINISHED) < blocks:
        atomics.pause()
        looked += 1
        if looked % YIELD == 0:
            atomics.yield_processor()
