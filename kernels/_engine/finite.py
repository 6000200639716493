"""Search for numbers that are not finite, by several threads that claim pieces: data are read at memory bandwidth."""

import numpy as np

from dnnkit.kernels._engine.structures import SEARCH_ADDRESS, SEARCH_COUNT, SEARCH_FOUND, SEARCH_NEXT, SEARCH_WORDS
from dnnkit.kernels._numba import atomics
from dnnkit.kernels._numba.at_address import vector
from dnnkit.kernels._numba.indirect_calls import address_of
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels.nonzero_columns import WORD
from dnnkit.kernels.nonzero_columns.cpu import lost_bits

PIECE = 1 << 15
"""Numbers per piece."""


@jit
def find_lost_doubles(thread, patience, search_address):
    """Look for NaN or infinity in float64 numbers, as one of the threads of a search (`structures.py`)."""
    look_through(np.float64(0), vector(0, search_address, SEARCH_WORDS))


@jit
def find_lost_singles(thread, patience, search_address):
    """As `find_lost_doubles`, in float32 numbers."""
    look_through(np.float32(0), vector(0, search_address, SEARCH_WORDS))


@jit
def look_through(zero, search):
    """Look through pieces of the numbers until none is left; at the first that is lost, end the search."""
    numbers = vector(zero, search[SEARCH_ADDRESS], search[SEARCH_COUNT])
    start = claim(search)
    while start < numbers.size:
        end, lost = min(start + PIECE, numbers.size), 0
        whole = end - (end - start) % WORD
        for e in range(start, whole, WORD):
            lost |= lost_bits(numbers, address_of(numbers, e))
        for e in range(whole, end):
            if numbers[e] - numbers[e] != 0:
                lost = 1
        if lost != 0:
            atomics.store(search, SEARCH_FOUND, 1)
            atomics.store(search, SEARCH_NEXT, numbers.size)
        start = claim(search)


@jit
def claim(search):
    """Return the start of the next piece, which no other thread gets."""
    start = atomics.load(search, SEARCH_NEXT)
    while not atomics.exchange_if(search, SEARCH_NEXT, start, start + PIECE):
        start = atomics.load(search, SEARCH_NEXT)
    return start
