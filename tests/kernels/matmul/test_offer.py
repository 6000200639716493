"""Offered products: every block is computed once, by whoever is free, and the bits are those of one thread."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numba
import numpy as np
import pytest

from dnnkit.backends.aligned import address, zeros
from dnnkit.kernels.matmul import blocks, cpu, offer
from dnnkit.kernels.matmul.limits import DEPTH
from dnnkit.kernels.matmul.offer_words import AREA, AREA_BYTES, OFFER_WORDS

SHAPES = {
    "deep": (128, 2 * DEPTH + 3, 200, "C"),
    "columns of a": (135, 300, 333, "F"),
    "one vector in the last block": (300, DEPTH, 97, "C"),
}
"""Rows, depth, columns, and order of a; each has more than one block and is large enough to be offered."""
DEADLINE = 30.0


@numba.njit(nogil=True)
def multiply(a, b, out, place, by_rows):
    size = out.itemsize
    numbers = (
        np.int64(out.ctypes.data), out.shape[0], out.shape[1], np.int64(a.ctypes.data), a.strides[0] // size,
        a.strides[1] // size, np.int64(b.ctypes.data), b.strides[0] // size, b.strides[1] // size, a.shape[1],
        0, 0, 0, 0, 0, place,
    )  # fmt: skip
    if by_rows:
        blocks.multiply_by_rows(out.dtype.type(0), numbers)
    else:
        cpu.multiply_in_tiles(out.dtype.type(0), numbers)


@numba.njit(nogil=True)
def help_while(going, zero, place):
    """Take blocks while `going[0]`; return in how many offers there were some."""
    count = 0
    while going[0]:
        if offer.has_blocks(place):
            count += 1
            blocks.take_blocks(zero, place)
        offer.atomics.pause()
    return count


@numba.njit(nogil=True)
def claim_all(place, claimed):
    """Claim blocks until none is left, and count each."""
    number = offer.claim(place)
    while number >= 0:
        claimed[number] += 1
        offer.finish(place)
        number = offer.claim(place)


@numba.njit
def open_with(place, count):
    offer.open_offer(place, (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17), count)


@numba.njit
def look(place):
    return offer.has_blocks(place), offer.claim(place), offer.numbers_of(place)


@contextmanager
def helpers(place: int, dtype: str, counts: list[int]) -> Iterator[None]:
    """Two threads that take part in every product offered meanwhile."""
    going, zero = np.ones(1, np.int64), np.dtype(dtype).type(0)
    threads = [threading.Thread(target=lambda: counts.append(help_while(going, zero, place))) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        going[0] = 0
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("by_rows", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_products_of_several_threads_have_one_threads_bits(shape: str, by_rows: bool, dtype: str) -> None:
    rows, depth, columns, order = SHAPES[shape]
    rng, memory = np.random.default_rng(0), zeros((OFFER_WORDS,), "int64")
    a, b = np.asarray(rng.normal(size=(rows, depth)), dtype, order), rng.normal(size=(depth, columns)).astype(dtype)
    alone, out, counts = np.empty((rows, columns), dtype), np.empty((rows, columns), dtype), list[int]()
    area = zeros((1 << 18,), "uint8")
    memory[AREA], memory[AREA_BYTES] = address(area), area.nbytes
    multiply(a, b, alone, 0, False)
    multiply(a, b, out, address(memory), by_rows)
    np.testing.assert_array_equal(out, alone)
    end = time.monotonic() + DEADLINE
    while sum(counts) < 20 and time.monotonic() < end:
        with helpers(address(memory), dtype, counts):
            for _ in range(100):
                out.fill(np.nan)
                multiply(a, b, out, address(memory), by_rows)
                np.testing.assert_array_equal(out, alone)
    assert sum(counts) >= 20, "no thread helped"


def test_every_block_is_claimed_once_whoever_claims() -> None:
    memory, claimed = zeros((OFFER_WORDS,), "int64"), np.zeros((3, offer.MOST_BLOCKS), np.int64)
    for _ in range(10):
        claimed[:] = 0
        open_with(address(memory), offer.MOST_BLOCKS)
        threads = [threading.Thread(target=claim_all, args=(address(memory), counts)) for counts in claimed]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        np.testing.assert_array_equal(claimed.sum(0), 1)
        assert memory[offer.FINISHED] == offer.MOST_BLOCKS


def test_an_offer_is_of_the_last_product_and_its_last_block_is_the_owners() -> None:
    memory = zeros((OFFER_WORDS,), "int64")
    assert look(address(memory))[:2] == (False, -1)
    open_with(address(memory), 3)
    found = [look(address(memory)) for _ in range(4)]
    assert [(has_blocks, number) for has_blocks, number, _ in found] == [(True, 0), (True, 1), (False, 2), (False, -1)]
    assert found[0][2] == tuple(range(18))
    open_with(address(memory), 2)
    assert look(address(memory))[:2] == (True, 0)
