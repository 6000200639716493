"""Matrix product in register tiles. Contract: the package's docstring.

The smallest products are computed number by number, others in tiles (`tiles.py`), by rows or in panels (`blocks.py`),
and the largest by the BLAS.
"""

from dnnkit.kernels._numba import blas
from dnnkit.kernels._numba.at_address import element, matrix, size_of, vector
from dnnkit.kernels._numba.indirect_calls import address_of
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.shared import shared
from dnnkit.kernels._target.processor import REGISTER_BYTES
from dnnkit.kernels.matmul import limits
from dnnkit.kernels.matmul.blocks import area_of, multiply_by_rows, multiply_in_panels
from dnnkit.kernels.matmul.gather_index import COLUMNS, ROWS, ROWS_OF_B, after, number_in, skip
from dnnkit.kernels.matmul.limits import BY_INDEX, DEPTH, DEPTH_OF_COLUMNS, FAR_AWAY, FEW_COLUMNS, IN_COLUMNS, IN_ROWS
from dnnkit.kernels.matmul.microkernels import broadcast_tile, panel, sums_of_four, sums_of_one
from dnnkit.kernels.matmul.tiles import multiply_tiles

TINY = 64
"""Multiplications up to which a product is computed element by element, because vectors would not be filled."""

PACKED_ROWS = 64
"""Rows of a from which b is packed: packing then costs less than reading b's rows, which are far apart in the cache."""

PACKED_ROWS_OF_DEEP, DEEP = 24, 128
"""The same threshold where rows of a are columns in memory and more than `DEEP`: those do not stay in the first-level
cache, either.
"""

NARROW, NARROW_DEPTH = 16, 8
"""Bytes per row of b, and depth per column, up to and from which the transposed product takes less time: a vector has
16 lanes of float32, of which so few columns fill one to four.
"""

PACKED_NARROW_DEPTH = 64
"""Depth from which that also holds for one or two columns if the transpose has to be packed."""

NARROW_ROWS = 256
"""Rows of a transposed product per block, which is then transposed: a few KiB of a panel."""

NEAR = 1 << 14
"""Bytes of b that stay in the first-level cache after the first use."""

STREAMS = 16
"""Depth of a block of a with few columns in b whose rows are columns in memory, if a is larger than `FAR_AWAY`: its
rows in memory, each of which is read from beginning to end while the processor fetches them ahead.
"""

FAR = 4096
"""Stride in bytes between rows of b from which b is packed: the size of a page."""

_1_4 = broadcast_tile(1, 4, False)
_4_N, _1_N = broadcast_tile(4, 1, False, width=1), broadcast_tile(1, 1, False, width=1)


@shared
def multiply_in_tiles(
    zero, target, rows, columns, a, a_row, a_step, b, b_row, b_step, depth, row_index, column_index, b_index,
    target_index, bias, offer,
):  # fmt: skip
    """Compute a · b, plus a row `bias` unless its address is 0.

    a, b and the target are addresses, with strides in elements between rows and between columns. A large product is
    offered to other threads at the address `offer` (`offer.py`), if that is not 0.

    The four index arrays, given by address, select the rows of a, its columns, the matching rows of b, and the rows of
    the target; 0 means all in order. Other rows of the target are not changed. Column indices with row indices of the
    target, or of b, are supported only together with row indices of a; a bias is not, with
    row indices of the target or with only column indices, as in gradients.
    """
    size, indexes = size_of(zero), (row_index, column_index, b_index, target_index)
    width = REGISTER_BYTES // size
    few = PACKED_ROWS_OF_DEEP if a_row == 1 and depth > DEEP else PACKED_ROWS
    is_near = b_step == 1 and (rows < few or b_row * depth * size <= NEAR) and (b_row * size < FAR or rows == 1)
    if is_near or depth == 0:
        j = 0
        while rows == 1 and columns - j >= 4 * width:
            place = target + (number_in(target_index, 0) * columns + j) * size
            row = a + number_in(row_index, 0) * a_row * size
            own = bias + j * size if bias != 0 else 0
            tile = row, a_row, a_step, b + j * size, b_row, depth, place, 0, 0, 0, own
            if column_index == 0:
                _1_4(zero, tile, indexes, 0)
            elif b_index == 0:
                _1_4(zero, tile, indexes, COLUMNS)
            else:
                _1_4(zero, tile, indexes, COLUMNS | ROWS_OF_B)
            j += 4 * width
        if j < columns:
            own, place = bias + j * size if bias != 0 else 0, target + j * size
            given = (
                a, a_row, a_step, b + j * size, b_row, depth, place, columns, rows, columns - j, 0, own, row_index,
                column_index, b_index, target_index,
            )  # fmt: skip
            multiply_tiles(zero, given)
    else:
        numbers = (
            target, rows, columns, a, a_row, a_step, b, b_row, b_step, depth, row_index, column_index, b_index,
            target_index, bias, offer,
        )  # fmt: skip
        most = DEPTH_OF_COLUMNS if a_row == 1 else DEPTH
        if a_row == 1 and columns * size <= FEW_COLUMNS and rows * depth * size > FAR_AWAY:
            most = STREAMS
        multiply_in_panels(zero, numbers, most)


@jit
def number_by_number(zero, numbers):
    """As `multiply`, for all rows of the target, in tiles one element wide whose sums are independent."""
    (
        target, rows, columns, a, a_row, a_step, b, b_row, b_step, depth, row_index, column_index, b_index, _, bias, _,
    ) = numbers  # fmt: skip
    uses = (ROWS if row_index != 0 else 0) | (COLUMNS if column_index != 0 else 0) | (ROWS_OF_B if b_index != 0 else 0)
    size = size_of(zero)
    for j in range(columns):
        i, b_column, own = 0, b + j * b_step * size, bias + j * size if bias != 0 else 0
        while i < rows:
            start, place = after(row_index, a, i * a_row * size), target + (i * columns + j) * size
            tile = start, a_row, a_step, b_column, b_row, depth, place, columns, 0, 0, own
            here = skip(row_index, i), column_index, b_index, 0
            if rows - i >= 4:
                _4_N(zero, tile, here, uses)
                i += 4
            else:
                _1_N(zero, tile, here, uses)
                i += 1


computes_by_rows = jit(limits.computes_by_rows)


@jit
def goes_by_rows(zero, numbers):
    """Whether `multiply_by_rows` takes less time, and has the memory."""
    _, rows, columns, _, a_row, _, _, _, _, depth, row_index, column_index, _, target_index, _, offer = numbers
    if offer == 0 or target_index != 0 or (a_row == 1 and row_index != 0):
        return False
    order = IN_ROWS if a_row != 1 else BY_INDEX if column_index != 0 else IN_COLUMNS
    return computes_by_rows(rows, depth, columns, size_of(zero), order) and area_of(offer) > 0


@jit
def is_narrow(zero, numbers):
    """Whether `multiply_narrow` takes less time; measured with AVX-512, as packing the transpose of a."""
    _, rows, columns, _, a_row, _, _, _, _, depth, row_index, column_index, b_index, target_index, _, _ = numbers
    size = size_of(zero)
    if row_index != 0 or column_index != 0 or b_index != 0 or target_index != 0 or rows * size < REGISTER_BYTES:
        return False
    if a_row == 1:
        return columns * size <= NARROW and depth >= NARROW_DEPTH * columns
    return columns <= 2 and depth >= PACKED_NARROW_DEPTH and REGISTER_BYTES == 64


@shared
def multiply_narrow(zero, target, rows, columns, a, a_row, a_step, b, b_row, b_step, depth, bias):
    """Compute a · b + bias with few columns as the transpose of bᵀ · aᵀ, with the same bits."""
    size, block, out = size_of(zero), panel(), vector(zero, target, rows * columns)
    summand = vector(zero, bias, columns)
    for start in range(0, rows, NARROW_ROWS):
        count = NARROW_ROWS if rows - start > NARROW_ROWS else rows - start
        numbers = (
            block, columns, count, b, b_step, b_row, a + start * a_row * size, a_step, a_row, depth, 0, 0, 0, 0, 0, 0,
        )  # fmt: skip
        multiply_in_tiles(zero, numbers)
        transposed = matrix(zero, block, columns, count)
        for i in range(count):
            for j in range(columns):
                value = transposed[j, i]
                out[(start + i) * columns + j] = value if bias == 0 else value + summand[j]


@jit
def multiply(zero, numbers, fits):
    """Compute a · b + bias by rows, or in tiles if it fits, else by the BLAS, which supports no index arrays.

    A tiny product is computed inline, because it takes less time than a call.
    """
    target, rows, columns, a, a_row, a_step, b, b_row, b_step, depth, _, _, _, target_index, bias, _ = numbers
    if rows * columns * depth <= TINY and target_index == 0:
        number_by_number(zero, numbers)
    elif goes_by_rows(zero, numbers):
        multiply_by_rows(zero, numbers)
    elif fits and is_narrow(zero, numbers):
        given = target, rows, columns, a, a_row, a_step, b, b_row, b_step, depth, bias
        multiply_narrow(zero, given)
    elif fits:
        multiply_in_tiles(zero, numbers)
    else:
        blas.multiply(zero, target, rows, columns, a, a_row, a_step, b, b_row, b_step, depth)
        if bias != 0:
            add_to_rows(matrix(zero, target, rows, columns), vector(zero, bias, columns))


@jit
def add_to_rows(x, b):
    """Add b to all rows of x, in place."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            x[i, j] += b[j]


@jit
def address_of_bias(b):
    """Return the address of a bias; 0 if it is empty."""
    return address_of(b) if b.size > 0 else 0


multiplies_in_tiles = jit(limits.multiplies_in_tiles)


@jit
def in_tiles(a, columns):
    """As `multiplies_in_tiles`, for an array and the number of columns that it, or its transpose, is multiplied by."""
    rows, depth = a.shape
    return multiplies_in_tiles(rows, depth, columns, a.itemsize)


@jit
def product_of_rows(x, rows, columns, w, b, out, offer):
    """Compute out = x[rows][:, columns] · w[columns] + b without gathering; b may be empty.

    x (N, K) and w (K, O) are contiguous; x[rows] fits tiles. If x is zero in all other columns, this is x[rows] · w.
    """
    depth, outputs, used = x.shape[1], w.shape[1], columns.size
    index = 0 if used == depth else address_of(columns)
    numbers = (
        address_of(out), rows.size, outputs, address_of(x), depth, 1, address_of(w), outputs, 1, used, address_of(rows),
        index, index, 0, address_of_bias(b), offer,
    )  # fmt: skip
    multiply(out.dtype.type(0), numbers, True)


@jit
def product_of_columns(x, first, y, out, offer):
    """Compute out = x[:, first : first + rows of out]ᵀ y; x (K, N) and y (K, O) are contiguous."""
    column = y.shape[1]
    numbers = (
        address_of(out), out.shape[0], column, address_of(x, first), 1, x.shape[1], address_of(y), column, 1,
        y.shape[0], 0, 0, 0, 0, 0, offer,
    )  # fmt: skip
    multiply(out.dtype.type(0), numbers, in_tiles(x, column))


@jit
def product_of_nonzero_columns(x, rows, columns, first, y, out, offer):
    """As `product_of_columns` for x[rows], which fits tiles and is zero in all columns except those listed, in order.

    `columns` lists only columns within out; x (N, F) and y (K, O) are contiguous.
    """
    column, count, start, target, index = y.shape[1], out.shape[0], address_of(x, first), address_of(out), 0
    if columns.size < count:
        clear_others(out, first, columns)
        count, start, target = columns.size, address_of(x), address_of(out, -first * column)
        index = address_of(columns)
    numbers = (
        target, count, column, start, 1, x.shape[1], address_of(y), column, 1, y.shape[0], index, address_of(rows), 0,
        index, 0, offer,
    )  # fmt: skip
    multiply(out.dtype.type(0), numbers, True)


@jit
def clear_others(out, first, columns):
    """Zero the rows of out, numbered from `first` on, that are not in `columns`."""
    place = 0
    for j in range(out.shape[0]):
        if place < columns.size and element(columns, place) == first + j:
            place += 1
        else:
            for o in range(out.shape[1]):
                out[j, o] = 0


@jit
def product(a, b, out, offer):
    """Compute out = a · b, all contiguous."""
    multiply(out.dtype.type(0), _in_order(a, b, 0, out, offer), in_tiles(a, b.shape[1]))


@jit
def product_and_bias(a, b, bias, out, offer):
    """Compute out = a · b + bias, all contiguous; an empty bias is none. The bits are those of two passes."""
    multiply(out.dtype.type(0), _in_order(a, b, address_of_bias(bias), out, offer), in_tiles(a, b.shape[1]))


@jit
def _in_order(a, b, bias, out, offer):
    depth, columns = b.shape
    return (
        address_of(out), a.shape[0], columns, address_of(a), depth, 1, address_of(b), columns, 1, depth, 0, 0, 0, 0,
        bias, offer,
    )  # fmt: skip


@jit
def product_with_transpose(a, b, out, offer):
    """Compute out = a · bᵀ, all contiguous."""
    rows, depth = a.shape
    numbers = (
        address_of(out), rows, b.shape[0], address_of(a), depth, 1, address_of(b), 1, depth, depth, 0, 0, 0, 0, 0,
        offer,
    )  # fmt: skip
    multiply(out.dtype.type(0), numbers, in_tiles(a, b.shape[0]))


@jit
def sum_rows(x, out):
    """Compute out = Σ of the rows of x, in order; all contiguous."""
    zero, (rows, columns) = out.dtype.type(0), x.shape
    width = REGISTER_BYTES // x.itemsize
    j = 0
    while j + 4 * width <= columns:
        sums_of_four(zero, (address_of(x, j), columns, rows, address_of(out, j), 4 * width))
        j += 4 * width
    while j < columns:
        sums_of_one(zero, (address_of(x, j), columns, rows, address_of(out, j), columns - j))
        j += width
