"""Index arrays of a product: which rows and columns it takes, so that nothing is gathered.

A product a · b has four: of the rows of a, of the columns of a, of the rows of b that go with these, and of the rows of
the result. Each is given by its address, of int64; 0 takes all in order. Which of them there are is also said by bits
that stand in the code, so that no tile looks.
"""

from typing import Any

from numba import types

from dnnkit.kernels._numba.extending import intrinsic
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels.matmul.simd import WORD

ROWS, COLUMNS, ROWS_OF_B, PLACES = 1, 2, 4, 8
"""The bits of the four indexes."""


@intrinsic
def _number_at(typing_context: Any, address: Any) -> Any:
    """The int64 at an address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(builder.inttoptr(arguments[0], WORD.as_pointer()))

    return types.int64(types.int64), generate


@jit
def number_in(index, n):
    """index[n]; n itself if there is no index."""
    return n if index == 0 else _number_at(index + 8 * n)


@jit
def skip(index, count):
    """The index from number `count` on; 0 stays 0."""
    return 0 if index == 0 else index + 8 * count


@jit
def after(index, address, bytes_):
    """`address + bytes_`; `address` itself if there is an index, which encodes the offset already."""
    return address + bytes_ if index == 0 else address
