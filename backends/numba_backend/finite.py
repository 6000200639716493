"""Whether arrays are finite, by compiled code in several threads. Of all a fit checks, only this reads every number."""

from typing import Any

import numpy as np

from dnnkit.backends.aligned import address, zeros
from dnnkit.backends.numba_backend.crew import CREW
from dnnkit.kernels._engine.structures import SEARCH_ADDRESS, SEARCH_COUNT, SEARCH_FOUND, SEARCH_NEXT, SEARCH_WORDS

SEARCHES = {"float32": "find_lost_singles", "float64": "find_lost_doubles"}
"""Functions of the engine, by dtype."""

WORTH_SHARING = 1 << 21
"""Bytes from which standby threads join: reading them takes one thread about 150 µs, and a thread 50 µs to wake up."""

PER_CALL = 1 << 25
"""Numbers per call of compiled code: between two calls, Python handles signals. Data on a disk may take minutes."""


def surely_finite(array: Any, dtype: str, threads: int) -> bool:
    """Return whether the array has this dtype, and all of its numbers are finite; False if it is in another form."""
    is_plain = type(array) is np.ndarray and array.dtype == dtype and array.flags.c_contiguous
    if not is_plain or dtype not in SEARCHES:
        return False
    search = zeros((SEARCH_WORDS,), "int64")
    helpers = threads - 1 if array.nbytes >= WORTH_SHARING else 0
    look = CREW.caller(address(search), dtype, helpers, SEARCHES[dtype])
    for start in range(0, array.size, PER_CALL):
        search[SEARCH_NEXT], search[SEARCH_COUNT] = 0, min(PER_CALL, array.size - start)
        search[SEARCH_ADDRESS] = address(array) + start * array.itemsize
        look()
        if search[SEARCH_FOUND]:
            return False
    return True
