"""Which rows and columns a product takes: indexes, arrays of their numbers, or None for one after the other.

A product has four: of the rows of its first factor, of that one's columns, of the rows of the second that go with
these, and of the rows of the result. Each is resolved when its user is compiled, by its type.
"""

from numba import types

from dnnkit.kernels._numba.extending import resolved_by_type
from dnnkit.kernels._numba.jit import INLINED, jit
from dnnkit.kernels._numba.unchecked_views import element, part

NONE = None, None, None, None
"""The indexes of a product that has none."""


@resolved_by_type(**INLINED)
def between(index, first, end):
    """The index from its number `first` on, before number `end`, for compiled code; None stays None."""
    if isinstance(index, types.NoneType):
        return lambda index, first, end: None
    return lambda index, first, end: part(index, first, end - first)


@resolved_by_type(**INLINED)
def number_in(index, n):
    """index[n] for compiled code, or n itself if the index is None."""
    if isinstance(index, types.NoneType):
        return lambda index, n: n
    return lambda index, n: element(index, n)


@resolved_by_type(**INLINED)
def length(index, count):
    """How many numbers the index has, for compiled code; `count` if it is None."""
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
