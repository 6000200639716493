"""Matrix product in tiles that stay in registers. Contract: the package's docstring.

A library packs both factors, to read them in the order it computes in. Where a lies in the second-level cache that
costs more than it saves: only a panel of b is packed, and where a has few rows not even that. Larger products go to the
BLAS. See docs/design/0014-tiles.md.
"""

from dnnkit.kernels._numba import blas
from dnnkit.kernels._numba.indirect_calls import address_of
from dnnkit.kernels._numba.jit import jit, jit_shared
from dnnkit.kernels._numba.unchecked_views import element
from dnnkit.kernels.matmul.gather_index import NONE, after, length, number_in, rows_from, steps_from
from dnnkit.kernels.matmul.microkernels import (
    DEPTH,
    ROWS,
    broadcast_tile,
    copy_number,
    copy_row,
    panel,
    transpose_square,
)
from dnnkit.kernels.matmul.simd import FUSED, REGISTER_BYTES

TINY = 64
"""Multiplications in a product up to which it is done number by number."""

PACKED_ROWS = 48
"""Rows of a from which b is packed: to copy it is then less than what its rows, far apart in the cache, cost."""

CACHED = 1 << 19
"""Bytes of a up to which it is read where it is: half of a second-level cache, or less."""

NEAR = 1 << 14
"""Bytes of b that are in the first-level cache after the first use."""

FAR = 4096
"""Bytes between rows of b from where it is packed: that many are a page."""

_16_1 = broadcast_tile(2 * ROWS, 1, True)
_8_2, _8_2M, _8_1 = broadcast_tile(ROWS, 2, False), broadcast_tile(ROWS, 2, True), broadcast_tile(ROWS, 1, True)
_2_2, _2_1 = broadcast_tile(2, 2, True), broadcast_tile(2, 1, True)
_1_4, _1_2, _1_1 = broadcast_tile(1, 4, False), broadcast_tile(1, 2, True), broadcast_tile(1, 1, True)
_4_N, _2_N, _1_N = (broadcast_tile(rows, 1, False, width=1) for rows in (4, 2, 1))


@jit
def two_vectors(out, a, a_row, a_step, b, b_row, depth, target, target_row, rows, columns, goes_on, indexes):
    """All rows of up to two vectors of columns."""
    size = out.itemsize
    width = REGISTER_BYTES // size
    i = 0
    while i < rows:
        left, here = rows - i, rows_from(indexes, i)
        numbers = (
            after(here[0], a, i * a_row * size), a_row, a_step, b, b_row, depth,
            after(here[3], target, i * target_row * size), target_row, columns, goes_on,
        )  # fmt: skip
        if columns <= width:
            if left >= 2 * ROWS:
                _16_1(out, numbers, here)
                i += 2 * ROWS
            elif left >= ROWS:
                _8_1(out, numbers, here)
                i += ROWS
            elif left >= 2:
                _2_1(out, numbers, here)
                i += 2
            else:
                _1_1(out, numbers, here)
                i += 1
        elif left >= ROWS:
            if columns >= 2 * width:
                _8_2(out, numbers, here)
            else:
                _8_2M(out, numbers, here)
            i += ROWS
        elif left >= 2:
            _2_2(out, numbers, here)
            i += 2
        else:
            _1_2(out, numbers, here)
            i += 1


@jit
def pack(out, b, b_row, b_step, rows, columns, packed, index):
    """Rows and columns of b, wherever they are, to the panel; the rows that the index says."""
    size = out.itemsize
    width = REGISTER_BYTES // size
    if b_step == 1:
        for k in range(rows):
            copy_row(out, (b + number_in(index, k) * b_row * size, packed + k * 2 * width * size, columns))
    elif b_row == 1 and index is None:
        for j in range(0, columns, width):
            for k in range(0, rows, width):
                source, target = b + (k + j * b_step) * size, packed + (k * 2 * width + j) * size
                transpose_square(out, (source, b_step, target, 2 * width, rows - k, columns - j))
    else:
        for k in range(rows):
            for j in range(columns):
                source = b + (number_in(index, k) * b_row + j * b_step) * size
                copy_number(out, (source, packed + (k * 2 * width + j) * size))


@jit_shared
def multiply(out, target, a, a_row, a_step, b, b_row, b_step, depth, indexes):
    """out (M, N) = a · b; a and b are addresses, with strides in elements from row to row and from column to column.

    The indexes number the rows of a, its columns, the rows of b that go with these, and the rows of out, whose number 0
    is at `target`; None for one after the other. Other rows of out stay as they are.
    """
    rows, columns, size = length(indexes[0], out.shape[0]), out.shape[1], out.itemsize
    width = REGISTER_BYTES // size
    is_near = b_step == 1 and (rows < PACKED_ROWS or b_row * depth * size <= NEAR) and (b_row * size < FAR or rows == 1)
    if is_near or depth == 0:
        j = 0
        while rows == 1 and columns - j >= 4 * width:
            numbers = (a, a_row, a_step, b + j * size, b_row, depth, target + j * size, columns, 0, 0)
            _1_4(out, numbers, indexes)
            j += 4 * width
        for start in range(j, columns, 2 * width):
            two_vectors(
                out, a, a_row, a_step, b + start * size, b_row, depth, target + start * size, columns, rows,
                columns - start, 0, indexes,
            )  # fmt: skip
    else:
        packed = panel(out)
        for k in range(0, depth, DEPTH):
            count, here = min(DEPTH, depth - k), steps_from(indexes, k)
            start, b_start = after(here[1], a, k * a_step * size), after(here[2], b, k * b_row * size)
            for j in range(0, columns, 2 * width):
                left = min(2 * width, columns - j)
                pack(out, b_start + j * b_step * size, b_row, b_step, count, left, packed, here[2])
                two_vectors(
                    out, start, a_row, a_step, packed, 2 * width, count, target + j * size, columns, rows, left,
                    1 if k > 0 else 0, (here[0], here[1], None, here[3]),
                )  # fmt: skip


@jit
def is_tiny(out, depth):
    """Whether a product is so small that it is done before vectors are filled."""
    return depth * out.size <= TINY


@jit
def number_by_number(out, a, a_row, a_step, b, b_row, b_step, depth, row_index, column_index):
    """out (M, N) = a · b in tiles that are one number wide; as `multiply`, with indexes of a only."""
    rows, columns, size = out.shape[0], out.shape[1], out.itemsize
    for j in range(columns):
        i = 0
        while i < rows:
            left, here = rows - i, rows_from((row_index, column_index, None, None), i)
            numbers = (
                after(here[0], a, i * a_row * size), a_row, a_step, b + j * b_step * size, b_row, depth,
                address_of(out, i * columns + j), columns, 0, 0,
            )  # fmt: skip
            if left >= 4:
                _4_N(out, numbers, here)
                i += 4
            elif left >= 2:
                _2_N(out, numbers, here)
                i += 2
            else:
                _1_N(out, numbers, here)
                i += 1


@jit
def fits_tiles(elements, itemsize):
    """Whether a product with so many elements of a, or with its transpose, is computed here, not by the BLAS."""
    return FUSED and elements * itemsize <= CACHED


@jit
def in_tiles(a):
    """The same, of an array."""
    return fits_tiles(a.size, a.itemsize)


@jit
def product_of_rows(x, rows, columns, w, out):
    """out = x[rows][:, columns] · w[columns], and nothing is gathered.

    x (N, K) and w (K, O) are contiguous; x[rows] fits tiles. If it is zero in all other columns, this is x[rows] · w.
    """
    depth, outputs = x.shape[1], w.shape[1]
    if is_tiny(out, depth):
        number_by_number(out, address_of(x), depth, 1, address_of(w), outputs, 1, depth, rows, None)
    elif columns.size == depth:
        multiply(
            out, address_of(out), address_of(x), depth, 1, address_of(w), outputs, 1, depth, (rows, None, None, None)
        )
    else:
        indexes = rows, columns, columns, None
        multiply(out, address_of(out), address_of(x), depth, 1, address_of(w), outputs, 1, columns.size, indexes)


@jit
def product_of_columns(x, first, y, out):
    """out = (columns of x from the first on, as many as out has rows)ᵀ y; x (K, N) and y (K, O) are contiguous."""
    depth, row, column = y.shape[0], x.shape[1], y.shape[1]
    if is_tiny(out, depth):
        number_by_number(out, address_of(x, first), 1, row, address_of(y), column, 1, depth, None, None)
    elif in_tiles(x):
        start = address_of(x, first)
        multiply(out, address_of(out), start, 1, row, address_of(y), column, 1, depth, NONE)
    else:
        blas.product(x.T, y, out)


@jit
def product_of_nonzero_columns(x, rows, columns, first, y, out):
    """As `product_of_columns` of x[rows], which fits tiles, and is zero in all columns but those listed, in order.

    Of `columns` only those may be given that out has; x (N, F) and y (K, O) are contiguous.
    """
    depth, row, column = y.shape[0], x.shape[1], y.shape[1]
    if is_tiny(out, depth):
        number_by_number(out, address_of(x, first), 1, row, address_of(y), column, 1, depth, None, rows)
    elif columns.size == out.shape[0]:
        start = address_of(x, first)
        multiply(out, address_of(out), start, 1, row, address_of(y), column, 1, depth, (None, rows, None, None))
    else:
        clear_others(out, first, columns)
        target, indexes = address_of(out, -first * column), (columns, rows, None, columns)
        multiply(out, target, address_of(x), 1, row, address_of(y), column, 1, depth, indexes)


@jit
def clear_others(out, first, columns):
    """Zeros to the rows of out, numbered from `first` on, that are not among these."""
    place = 0
    for j in range(out.shape[0]):
        if place < columns.size and element(columns, place) == first + j:
            place += 1
        else:
            for o in range(out.shape[1]):
                out[j, o] = 0


@jit
def product(a, b, out):
    """Both factors are contiguous or the transpose of a contiguous array."""
    depth, size = a.shape[1], out.itemsize
    a_row, a_step, b_row, b_step = (
        a.strides[0] // size, a.strides[1] // size, b.strides[0] // size, b.strides[1] // size
    )  # fmt: skip
    if is_tiny(out, depth):
        number_by_number(out, address_of(a), a_row, a_step, address_of(b), b_row, b_step, depth, None, None)
    elif in_tiles(a):
        multiply(out, address_of(out), address_of(a), a_row, a_step, address_of(b), b_row, b_step, depth, NONE)
    else:
        blas.product(a, b, out)
