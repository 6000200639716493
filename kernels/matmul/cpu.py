"""Matrix product in register tiles. Contract: the package's docstring.

A BLAS packs both operands into the order in which it reads them. If a fits into the second-level cache, that costs more
than it saves: only a panel of b is packed here, and if a has few rows not even that. Larger products go to the BLAS.
See docs/design/0014-tiles.md.
"""

from dnnkit.kernels._numba import blas
from dnnkit.kernels._numba.at_address import element, matrix, size_of, vector
from dnnkit.kernels._numba.indirect_calls import address_of
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.shared import shared
from dnnkit.kernels._target.processor import REGISTER_BYTES
from dnnkit.kernels.matmul import limits
from dnnkit.kernels.matmul.gather_index import COLUMNS, PLACES, ROWS, ROWS_OF_B, after, number_in, skip
from dnnkit.kernels.matmul.limits import DEPTH, DEPTH_OF_COLUMNS, OFFERED
from dnnkit.kernels.matmul.microkernels import (
    TILE_ROWS,
    broadcast_tile,
    copy_number,
    copy_row,
    panel,
    sums_of_four,
    sums_of_one,
    transpose_square,
)
from dnnkit.kernels.matmul.offer import (
    MOST_BLOCKS,
    claim,
    finish,
    numbers_of,
    open_offer,
    wait_until_finished,
)

TINY = 64
"""Multiplications up to which a product is computed element by element, because vectors would not be filled."""

PACKED_ROWS = 48
"""Rows of a from which b is packed: packing then costs less than reading b's rows, which are far apart in the cache."""

PACKED_ROWS_OF_DEEP, DEEP = 12, 128
"""The same threshold if b has more rows than `DEEP`: parts of them do not stay in the first-level cache until the next
tile.
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

FAR = 4096
"""Stride in bytes between rows of b from which b is packed: the size of a page."""

_16_1 = broadcast_tile(2 * TILE_ROWS, 1, True)
_8_2, _8_2M = broadcast_tile(TILE_ROWS, 2, False), broadcast_tile(TILE_ROWS, 2, True)
_8_1, _2_2, _2_1 = broadcast_tile(TILE_ROWS, 1, True), broadcast_tile(2, 2, True), broadcast_tile(2, 1, True)
_1_4, _1_2, _1_1 = broadcast_tile(1, 4, False), broadcast_tile(1, 2, True), broadcast_tile(1, 1, True)
_4_N, _1_N = broadcast_tile(4, 1, False, width=1), broadcast_tile(1, 1, False, width=1)


@jit
def all_blocks(zero, numbers, indexes, uses):
    """Compute all rows, two vectors of columns at a time; `uses` has the bits of the index arrays that exist."""
    a, a_row, a_step, b, b_row, depth, target, target_row, rows, columns, accumulates, bias = numbers
    row_index, column_index, b_index, target_index = indexes
    size = size_of(zero)
    width = REGISTER_BYTES // size
    for start in range(0, columns, 2 * width):
        b_block, block, right = b + start * size, target + start * size, columns - start
        own = bias + start * size if bias != 0 and uses != COLUMNS and uses & PLACES == 0 else 0
        i = 0
        while i < rows:
            left = rows - i
            tile = (
                after(uses & ROWS, a, i * a_row * size), a_row, a_step, b_block, b_row, depth,
                after(uses & PLACES, block, i * target_row * size), target_row, right, accumulates, own,
            )  # fmt: skip
            here = row_index + 8 * i, column_index, b_index, target_index + 8 * i
            if right <= width:
                if left >= 2 * TILE_ROWS:
                    _16_1(zero, tile, here, uses)
                    i += 2 * TILE_ROWS
                elif left >= TILE_ROWS:
                    _8_1(zero, tile, here, uses)
                    i += TILE_ROWS
                elif left >= 2:
                    _2_1(zero, tile, here, uses)
                    i += 2
                else:
                    _1_1(zero, tile, here, uses)
                    i += 1
            elif left >= TILE_ROWS:
                if right >= 2 * width:
                    _8_2(zero, tile, here, uses)
                else:
                    _8_2M(zero, tile, here, uses)
                i += TILE_ROWS
            elif left >= 2:
                _2_2(zero, tile, here, uses)
                i += 2
            else:
                _1_2(zero, tile, here, uses)
                i += 1


@shared
def multiply_tiles(
    zero, a, a_row, a_step, b, b_row, depth, target, target_row, rows, columns, accumulates, bias, row, column, b_rows,
    place,
):  # fmt: skip
    """Specialize `all_blocks` for each combination of index arrays that occurs."""
    numbers = a, a_row, a_step, b, b_row, depth, target, target_row, rows, columns, accumulates, bias
    of_columns = a, 1, a_step, b, b_row, depth, target, target_row, rows, columns, accumulates, bias  # as in gradients
    indexes = row, column, b_rows, place
    if row == 0 and column == 0:
        all_blocks(zero, numbers, indexes, 0)
    elif row == 0:
        all_blocks(zero, of_columns, indexes, COLUMNS)
    elif place != 0:
        all_blocks(zero, numbers, indexes, ROWS | COLUMNS | PLACES)
    elif column == 0:
        all_blocks(zero, numbers, indexes, ROWS)
    elif b_rows == 0:
        all_blocks(zero, numbers, indexes, ROWS | COLUMNS)
    else:
        all_blocks(zero, numbers, indexes, ROWS | COLUMNS | ROWS_OF_B)


@jit
def pack(zero, b, b_row, b_step, rows, columns, packed, index):
    """Copy rows and columns of b, in any layout, to the panel; rows follow the index array at an address, if not 0."""
    size = size_of(zero)
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
def multiply_block(
    zero, target, rows, columns, a, a_row, a_step, b, b_row, b_step, depth, row_index, column_index, b_index,
    target_index, bias, accumulates, number,
):  # fmt: skip
    """Compute one block of columns, two vectors wide, over part of the depth: pack b's panel and multiply in tiles."""
    size, packed = size_of(zero), panel()
    width = 2 * (REGISTER_BYTES // size)
    start = number * width
    left = width if columns - start > width else columns - start
    pack(zero, b + start * b_step * size, b_row, b_step, depth, left, packed, b_index)
    own = bias + start * size if bias != 0 else 0
    given = (
        a, a_row, a_step, packed, width, depth, target + start * size, columns, rows, left, accumulates, own, row_index,
        column_index, 0, target_index,
    )  # fmt: skip
    multiply_tiles(zero, given)


@jit
def take_blocks(zero, offer):
    """Compute blocks of an offered product until none is left."""
    number = claim(offer)
    while number >= 0:
        multiply_block(zero, (*numbers_of(offer), number))
        finish(offer)
        number = claim(offer)


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
    few = PACKED_ROWS if depth <= DEEP else PACKED_ROWS_OF_DEEP
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
        most, blocks = DEPTH_OF_COLUMNS if a_row == 1 else DEPTH, (columns + 2 * width - 1) // (2 * width)
        block_depth = depth if depth <= most else -(-depth // -(-depth // most))
        is_offered = offer != 0 and 1 < blocks <= MOST_BLOCKS and rows * columns * block_depth >= OFFERED
        for k in range(0, depth, block_depth):
            count = block_depth if depth - k > block_depth else depth - k
            start, b_start = after(column_index, a, k * a_step * size), after(b_index, b, k * b_row * size)
            numbers = (
                target, rows, columns, start, a_row, a_step, b_start, b_row, b_step, count, row_index,
                skip(column_index, k), skip(b_index, k), target_index, bias if depth - k <= block_depth else 0,
                1 if k > 0 else 0,
            )  # fmt: skip
            if is_offered:
                open_offer(offer, numbers, blocks)
                take_blocks(zero, offer)
                wait_until_finished(offer, blocks)
            else:
                for number in range(blocks):
                    multiply_block(zero, (*numbers, number))


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
    """Compute a · b + bias by `multiply_in_tiles` if it fits, else by the BLAS, which supports no index arrays.

    A tiny product is computed inline, because it takes less time than a call.
    """
    target, rows, columns, a, a_row, a_step, b, b_row, b_step, depth, _, _, _, target_index, bias, _ = numbers
    if rows * columns * depth <= TINY and target_index == 0:
        number_by_number(zero, numbers)
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
