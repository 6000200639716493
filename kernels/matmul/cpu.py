"""Matrix product in tiles that stay in registers. Contract: the package's docstring.

A library packs both factors, to read them in the order it computes in. Where a lies in the second-level cache that
costs more than it saves: only a panel of b is packed, and where a has few rows not even that. Larger products go to the
BLAS. See docs/design/0014-tiles.md.
"""

from dnnkit.kernels._numba import blas
from dnnkit.kernels._numba.indirect_calls import address_of
from dnnkit.kernels._numba.jit import jit, jit_called
from dnnkit.kernels._numba.shared import shared
from dnnkit.kernels._numba.unchecked_views import element
from dnnkit.kernels.matmul.gather_index import after, number_in, skip
from dnnkit.kernels.matmul.microkernels import (
    DEPTH,
    ROWS,
    broadcast_tile,
    copy_number,
    copy_row,
    item_size,
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


@jit_called
def all_blocks(zero, a, a_row, a_step, b, b_row, depth, target, target_row, rows, columns, goes_on, indexes):
    """All rows of all columns, two vectors of columns at a time."""
    size = item_size(zero)
    width = REGISTER_BYTES // size
    row_index, column_index, b_index, target_index = indexes
    for start in range(0, columns, 2 * width):
        b_block, block, right = b + start * size, target + start * size, columns - start
        i = 0
        while i < rows:
            left = rows - i
            numbers = (
                after(row_index, a, i * a_row * size), a_row, a_step, b_block, b_row, depth,
                after(target_index, block, i * target_row * size), target_row, right, goes_on,
            )  # fmt: skip
            here = skip(row_index, i), column_index, b_index, skip(target_index, i)
            if right <= width:
                if left >= 2 * ROWS:
                    _16_1(zero, numbers, here)
                    i += 2 * ROWS
                elif left >= ROWS:
                    _8_1(zero, numbers, here)
                    i += ROWS
                elif left >= 2:
                    _2_1(zero, numbers, here)
                    i += 2
                else:
                    _1_1(zero, numbers, here)
                    i += 1
            elif left >= ROWS:
                if right >= 2 * width:
                    _8_2(zero, numbers, here)
                else:
                    _8_2M(zero, numbers, here)
                i += ROWS
            elif left >= 2:
                _2_2(zero, numbers, here)
                i += 2
            else:
                _1_2(zero, numbers, here)
                i += 1


@jit
def with_indexes(zero, a, a_row, a_step, b, b_row, depth, target, target_row, rows, columns, goes_on, indexes):
    """`all_blocks`, compiled for each of the ways in which a product has indexes; none is 0 here, not None."""
    row, column, b_rows, place = indexes
    if row == 0 and column == 0:
        all_blocks(
            zero, a, a_row, a_step, b, b_row, depth, target, target_row, rows, columns, goes_on,
            (None, None, None, None),
        )  # fmt: skip
    elif row == 0:
        all_blocks(
            zero, a, a_row, a_step, b, b_row, depth, target, target_row, rows, columns, goes_on,
            (None, column, None, None),
        )  # fmt: skip
    elif place != 0:
        all_blocks(
            zero, a, a_row, a_step, b, b_row, depth, target, target_row, rows, columns, goes_on,
            (row, column, None, place),
        )  # fmt: skip
    elif column == 0:
        all_blocks(
            zero, a, a_row, a_step, b, b_row, depth, target, target_row, rows, columns, goes_on,
            (row, None, None, None),
        )  # fmt: skip
    elif b_rows == 0:
        all_blocks(
            zero, a, a_row, a_step, b, b_row, depth, target, target_row, rows, columns, goes_on,
            (row, column, None, None),
        )  # fmt: skip
    else:
        all_blocks(
            zero, a, a_row, a_step, b, b_row, depth, target, target_row, rows, columns, goes_on,
            (row, column, b_rows, None),
        )  # fmt: skip


@jit
def pack(zero, b, b_row, b_step, rows, columns, packed, index):
    """Rows and columns of b, wherever they are, to the panel; the rows that the index at an address says, if not 0."""
    size = item_size(zero)
    width = REGISTER_BYTES // size
    if b_step == 1:
        for k in range(rows):
            copy_row(zero, (b + number_in(index, k) * b_row * size, packed + k * 2 * width * size, columns))
    elif b_row == 1 and index == 0:
        for j in range(0, columns, width):
            for k in range(0, rows, width):
                source, target = b + (k + j * b_step) * size, packed + (k * 2 * width + j) * size
                transpose_square(zero, (source, b_step, target, 2 * width, rows - k, columns - j))
    else:
        for k in range(rows):
            for j in range(columns):
                source = b + (number_in(index, k) * b_row + j * b_step) * size
                copy_number(zero, (source, packed + (k * 2 * width + j) * size))


@shared
def multiply(
    zero, target, rows, columns, a, a_row, a_step, b, b_row, b_step, depth, row_index, column_index, b_index,
    target_index,
):  # fmt: skip
    """a · b; a, b and the target are addresses, with strides in elements from row to row and from column to column.

    The indexes number the rows of a, its columns, the rows of b that go with these, and the rows of the target, each
    given by its address; 0 takes all in order. Other rows of the target stay as they are. Numbered columns come with
    numbered rows of the target, or of b, only if the rows of a are numbered.
    """
    size = item_size(zero)
    width, indexes = REGISTER_BYTES // size, (row_index, column_index, b_index, target_index)
    is_near = b_step == 1 and (rows < PACKED_ROWS or b_row * depth * size <= NEAR) and (b_row * size < FAR or rows == 1)
    if is_near or depth == 0:
        j = 0
        while rows == 1 and columns - j >= 4 * width:
            place = target + (number_in(target_index, 0) * columns + j) * size
            row = a + number_in(row_index, 0) * a_row * size
            numbers = row, a_row, a_step, b + j * size, b_row, depth, place, 0, 0, 0
            if column_index == 0:
                _1_4(zero, numbers, (None, None, None, None))
            elif b_index == 0:
                _1_4(zero, numbers, (None, column_index, None, None))
            else:
                _1_4(zero, numbers, (None, column_index, b_index, None))
            j += 4 * width
        if j < columns:
            with_indexes(
                zero, a, a_row, a_step, b + j * size, b_row, depth, target + j * size, columns, rows, columns - j, 0,
                indexes,
            )  # fmt: skip
    else:
        packed = panel()
        for k in range(0, depth, DEPTH):
            count, goes_on = min(DEPTH, depth - k), 1 if k > 0 else 0
            start, b_start = after(column_index, a, k * a_step * size), after(b_index, b, k * b_row * size)
            for j in range(0, columns, 2 * width):
                left = min(2 * width, columns - j)
                pack(zero, b_start + j * b_step * size, b_row, b_step, count, left, packed, skip(b_index, k))
                with_indexes(
                    zero, start, a_row, a_step, packed, 2 * width, count, target + j * size, columns, rows, left,
                    goes_on, (row_index, skip(column_index, k), 0, target_index),
                )  # fmt: skip


@jit
def is_tiny(out, depth):
    """Whether a product is so small that it is done before vectors are filled."""
    return depth * out.size <= TINY


@jit
def number_by_number(out, a, a_row, a_step, b, b_row, b_step, depth, row_index, column_index):
    """out (M, N) = a · b in tiles that are one number wide; as `multiply`, with indexes of a, or None."""
    rows, columns, zero = out.shape[0], out.shape[1], out.dtype.type(0)
    size = out.itemsize
    for j in range(columns):
        i = 0
        while i < rows:
            left = rows - i
            numbers = (
                after(row_index, a, i * a_row * size), a_row, a_step, b + j * b_step * size, b_row, depth,
                address_of(out, i * columns + j), columns, 0, 0,
            )  # fmt: skip
            here = skip(row_index, i), column_index, None, None
            if left >= 4:
                _4_N(zero, numbers, here)
                i += 4
            elif left >= 2:
                _2_N(zero, numbers, here)
                i += 2
            else:
                _1_N(zero, numbers, here)
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
    start, b = address_of(x), address_of(w)
    if is_tiny(out, depth):
        number_by_number(out, start, depth, 1, b, outputs, 1, depth, address_of(rows), None)
    else:
        used, index = columns.size, (0 if columns.size == depth else address_of(columns))
        multiply(
            out.dtype.type(0),
            (
                address_of(out), rows.size, outputs, start, depth, 1, b, outputs, 1, used, address_of(rows), index,
                index, 0,
            ),
        )  # fmt: skip


@jit
def product_of_columns(x, first, y, out):
    """out = (columns of x from the first on, as many as out has rows)ᵀ y; x (K, N) and y (K, O) are contiguous."""
    depth, row, column = y.shape[0], x.shape[1], y.shape[1]
    if is_tiny(out, depth):
        number_by_number(out, address_of(x, first), 1, row, address_of(y), column, 1, depth, None, None)
    elif in_tiles(x):
        multiply(
            out.dtype.type(0),
            (
                address_of(out), out.shape[0], column, address_of(x, first), 1, row, address_of(y), column, 1, depth,
                0, 0, 0, 0,
            ),
        )  # fmt: skip
    else:
        blas.product(x.T, y, out)


@jit
def product_of_nonzero_columns(x, rows, columns, first, y, out):
    """As `product_of_columns` of x[rows], which fits tiles, and is zero in all columns but those listed, in order.

    Of `columns` only those may be given that out has; x (N, F) and y (K, O) are contiguous.
    """
    depth, row, column = y.shape[0], x.shape[1], y.shape[1]
    count, target, index = out.shape[0], address_of(out), address_of(columns)
    if is_tiny(out, depth):
        number_by_number(out, address_of(x, first), 1, row, address_of(y), column, 1, depth, None, address_of(rows))
    else:
        start = address_of(x, first)
        if columns.size == count:
            index = 0
        else:
            clear_others(out, first, columns)
            count, start, target = columns.size, address_of(x), address_of(out, -first * column)
        multiply(
            out.dtype.type(0),
            (
                target, count, column, start, 1, row, address_of(y), column, 1, depth, index, address_of(rows), 0,
                index,
            ),
        )  # fmt: skip


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
        multiply(
            out.dtype.type(0),
            (
                address_of(out), out.shape[0], out.shape[1], address_of(a), a_row, a_step, address_of(b), b_row,
                b_step, depth, 0, 0, 0, 0,
            ),
        )  # fmt: skip
    else:
        blas.product(a, b, out)
