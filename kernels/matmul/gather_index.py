"""Index arrays of a product: which rows and columns it uses, so that nothing is gathered.

A product a · b has four: for the rows of a, the columns of a, the matching rows of b, and the rows of the result. Each
is the address of int64 numbers; 0 means all in order. Which of them exist is also given as compile-time bits, so tiles
need no checks.
"""

from typing import Any

from numba import types

from dnnkit.kernels._numba.extending import intrinsic
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.simd import WORD

ROWS, COLUMNS, ROWS_OF_B, PLACES = 1, 2, 4, 8
"""Bits of the four index arrays."""

PACKED, CONTIGUOUS = 16, 32
"""Bits of an a without index arrays that is a packed tile, or has contiguous rows."""


@intrinsic
def _number_at(typing_context: Any, address: Any) -> Any:
    """Return the int64 at an address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(builder.inttoptr(arguments[0], WORD.as_pointer()))

    return types.int64(types.int64), generate


@jit
def number_in(index, n):
    """Return index[n], or n if there is no index array."""
    return n if index == 0 else _number_at(index + 8 * n)


@jit
def skip(index, count):
    """Return index[count:], or 0 if there is no index array."""
    return 0 if index == 0 else index + 8 * count


@jit
def after(index, address, bytes_):
    """Return `address + bytes_`, or `address` if there is an index array, which already encodes the offset."""
    return address + bytes_ if index == 0 else address
