"""Which rows and columns a product takes: indexes, arrays of their numbers, or None for one after the other.

A product has four: of the rows of its first factor, of that one's columns, of the rows of the second that go with
these, and of the rows of the result. Each is resolved when its user is compiled, by its type.
"""

from typing import Any

from numba import types
from numba.extending import overload

from dnnkit.kernels._numba.jit import INLINED, OPTIONS, jit
from dnnkit.kernels._numba.unchecked_views import element, part

RESOLVED: Any = {**OPTIONS, **INLINED}
NONE = None, None, None, None
"""The indexes of a product that has none."""


def between(index: Any, first: Any, end: Any) -> Any:
    """The index from its number `first` on, before number `end`, for compiled code; None stays None."""
    raise NotImplementedError("compiled code only")


@overload(between, jit_options=RESOLVED)
def _between(index, first, end):
    if isinstance(index, types.NoneType):
        return lambda index, first, end: None
    return lambda index, first, end: part(index, first, end - first)


def number_in(index: Any, n: Any) -> Any:
    """index[n] for compiled code, or n itself if the index is None."""
    raise NotImplementedError("compiled code only")


@overload(number_in, jit_options=RESOLVED)
def _number_in(index, n):
    if isinstance(index, types.NoneType):
        return lambda index, n: n
    return lambda index, n: element(index, n)


def length(index: Any, count: Any) -> Any:
    """How many numbers the index has, for compiled code; `count` if it is None."""
    raise NotImplementedError("compiled code only")


@overload(length, jit_options=RESOLVED)
def _length(index, count):
    if isinstance(index, types.NoneType):
        return lambda index, count: count
    return lambda index, count: index.size


@jit
def numbers_from(index, first):
    """The index from its number `first` on; None stays None."""
    return between(index, first, length(index, first))


@jit
def rows_from(indexes, first):
    """The indexes of a product (`multiply`) whose first row is that one."""
    rows, columns, rows_of_b, targets = indexes
    return numbers_from(rows, first), columns, rows_of_b, numbers_from(targets, first)


@jit
def steps_from(indexes, first):
    """The indexes of a product whose sums begin with that summand."""
    rows, columns, rows_of_b, targets = indexes
    return rows, numbers_from(columns, first), numbers_from(rows_of_b, first), targets


@jit
def after(index, address, bytes_):
    """An address so many bytes further; the same where an index, which has moved on, says the place."""
    if index is None:
        address += bytes_
    return address
