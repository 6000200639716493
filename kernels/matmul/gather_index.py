"""Index arrays of a product: which rows and columns it takes, so that nothing is gathered; None takes all in order.

A product a · b has four: of the rows of a, of the columns of a, of the rows of b that go with these, and of the rows of
the result. Whether one is None is known when the caller is compiled.
"""

from numba import types

from dnnkit.kernels._numba.extending import resolved_by_type
from dnnkit.kernels._numba.jit import INLINED, jit
from dnnkit.kernels._numba.unchecked_views import element, part

NONE = None, None, None, None
"""The indexes of a product that has none."""


@resolved_by_type(**INLINED)
def between(index, first, end):
    """index[first:end]; None stays None."""
    if isinstance(index, types.NoneType):
        return lambda index, first, end: None
    return lambda index, first, end: part(index, first, end - first)


@resolved_by_type(**INLINED)
def number_in(index, n):
    """index[n]; n itself if the index is None."""
    if isinstance(index, types.NoneType):
        return lambda index, n: n
    return lambda index, n: element(index, n)


@resolved_by_type(**INLINED)
def length(index, count):
    """The length of the index; `count` if it is None."""
    if isinstance(index, types.NoneType):
        return lambda index, count: count
    return lambda index, count: index.size


@jit
def numbers_from(index, first):
    """index[first:]; None stays None."""
    return between(index, first, length(index, first))


@jit
def rows_from(indexes, first):
    """The indexes of a product, from row `first` on."""
    rows, columns, rows_of_b, targets = indexes
    return numbers_from(rows, first), columns, rows_of_b, numbers_from(targets, first)


@jit
def steps_from(indexes, first):
    """The indexes of a product, from summand `first` on."""
    rows, columns, rows_of_b, targets = indexes
    return rows, numbers_from(columns, first), numbers_from(rows_of_b, first), targets


@jit
def after(index, address, bytes_):
    """`address + bytes_`; `address` itself if there is an index, which encodes the offset already."""
    if index is None:
        address += bytes_
    return address
