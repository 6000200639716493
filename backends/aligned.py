"""Host memory aligned to cache lines, so that no vector load straddles two lines, at twice the cost."""

import ctypes
import math
import sys
from collections import deque
from collections.abc import Callable

import numpy as np

from dnnkit.backends.state import HostArray

LINE = 64
"""Bytes of a cache line, and of the widest vectors."""

GRAIN = 16
"""Element count to which sizes are rounded up: one line of float32, two of float64."""


def zeros(shape: tuple[int, ...], dtype: str) -> HostArray:
    """Return zeros aligned to a cache line; NumPy guarantees only 16 bytes, which misaligns all wider vectors.

    Updating 50,000 parameters with Adam takes 7.7 µs aligned, 10.9 µs unaligned.
    """
    return _beginning_with_a_line(np.zeros(math.prod(shape) + LINE, dtype), shape)


def empty(shape: tuple[int, ...], dtype: str) -> HostArray:
    """Like `zeros`, but uninitialized: recycled memory is not returned to the system and fetched again."""
    return _beginning_with_a_line(np.empty(math.prod(shape) + LINE, dtype), shape)


class Lending:
    """Arrays created by `make`; memory is recycled once an array and its views are gone.

    Large freed memory may return to the system, and then each of its pages faults on the next use: for 400 kB that
    takes as long as a training step of 784-128-10, in some processes and not in others. Arrays and their views refer to
    the memory that they share, so its reference count shows whether any is still in use.
    """

    def __init__(self, make: Callable[[], HostArray]) -> None:
        self._make, self._kept = make, deque[tuple[HostArray, int]](maxlen=2)
        """Memory, and the number of references to it while it is idle: two, for a loop that holds the last array."""

    def array(self) -> HostArray:
        """Return an array that no caller holds; uninitialized if `make` does not initialize."""
        kept = self._kept
        for _ in range(len(kept)):
            try:
                memory, idle = entry = kept.popleft()  # now owned by this thread
            except IndexError:  # taken by another thread
                break
            lent = memory[...] if _references(memory) == idle else None
            kept.append(entry)
            if lent is not None:
                return lent
        memory = self._make()[...]  # a view, whose base owns the memory
        idle = _references(memory)
        lent = memory[...]
        kept.append((memory, idle))
        return lent


def _references(memory: HostArray) -> int:
    """Return the number of references to the owner of a view's memory."""
    return sys.getrefcount(memory.base)


def _beginning_with_a_line(memory: HostArray, shape: tuple[int, ...]) -> HostArray:
    start = -address(memory) % LINE // memory.itemsize
    part = memory[start : start + memory.size - LINE]
    return part if len(shape) == 1 else part.reshape(shape)


def address(array: HostArray | None) -> int:
    """Return the address of an array's memory; 0 for None.

    `array.ctypes.data` is the same and takes three times as long.
    """
    if array is None:
        return 0
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(array))  # type: ignore[arg-type]
    except (TypeError, ValueError):  # read-only, not contiguous, or empty
        return int(array.ctypes.data)


def aligned(numbers: HostArray) -> HostArray:
    """Return a cache-line-aligned copy, for measurements: unaligned copies may take 1.7 times as long, by chance."""
    memory = zeros(numbers.shape, str(numbers.dtype))
    memory[...] = numbers
    return memory


def rounded(count: int) -> int:
    """Round a count up to whole grains."""
    return -(-count // GRAIN) * GRAIN
