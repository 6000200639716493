"""Tiles of a product, and packing of what they read.

A BLAS packs both operands into the order in which it reads them. Here b is packed if a has enough rows, and a only if
its rows are columns in memory. See docs/design/0014-tiles.md and docs/design/0075-packed-blocks.md.
"""

from dnnkit.kernels._numba.at_address import size_of
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.shared import shared
from dnnkit.kernels._target.processor import REGISTER_BYTES
from dnnkit.kernels.matmul.gather_index import COLUMNS, CONTIGUOUS, PACKED, PLACES, ROWS, ROWS_OF_B, after, number_in
from dnnkit.kernels.matmul.limits import VECTORS_BY_ROWS
from dnnkit.kernels.matmul.microkernels import (
    TILE_ROWS,
    broadcast_tile,
    copy_number,
    copy_three,
    copy_tile_row,
    copy_two,
    transpose_square,
)

PACKED_TILE = -1
"""Stands for the stride between rows of an a that is one packed tile."""

STEPS = 4
"""Steps of the depth per turn of the loop of large tiles: counting takes a tenth of the instructions of a step."""

_16_1 = broadcast_tile(2 * TILE_ROWS, 1, True)
_8_2, _8_2M = broadcast_tile(TILE_ROWS, 2, False), broadcast_tile(TILE_ROWS, 2, True)
_8_2_STEPS = broadcast_tile(TILE_ROWS, 2, False, steps=STEPS)
_8_PANEL, _8_3M = broadcast_tile(TILE_ROWS, VECTORS_BY_ROWS, False, steps=STEPS), broadcast_tile(TILE_ROWS, 3, True)
_8_1, _2_2, _2_1 = broadcast_tile(TILE_ROWS, 1, True), broadcast_tile(2, 2, True), broadcast_tile(2, 1, True)
_1_2, _1_1 = broadcast_tile(1, 2, True), broadcast_tile(1, 1, True)


@jit
def all_tiles(zero, numbers, indexes, uses):
    """Compute all tiles; `uses` has the bits of the index arrays that exist.

    All rows follow each other for two vectors of columns, which then stay in the first-level cache.
    """
    a, a_row, a_step, b, b_row, depth, target, target_row, rows, columns, accumulates, bias = numbers
    row_index, column_index, b_index, target_index = indexes
    size = size_of(zero)
    width = REGISTER_BYTES // size
    b_block = b
    for start in range(0, columns, 2 * width):
        block, right = target + start * size, columns - start
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
                if right >= 2 * width and (uses & CONTIGUOUS != 0 or uses == ROWS):
                    _8_2_STEPS(zero, tile, here, uses)
                elif right >= 2 * width:
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
        b_block += 2 * width * size


@shared
def multiply_tiles(
    zero, a, a_row, a_step, b, b_row, depth, target, target_row, rows, columns, accumulates, bias, row, column, b_rows,
    place,
):  # fmt: skip
    """Specialize `all_tiles` for each combination of index arrays that occurs.

    Rows of a are contiguous, or columns in memory; if the rows of the target follow an index array, either.
    """
    others = b, b_row, depth, target, target_row, rows, columns, accumulates, bias
    of_rows, of_columns = (a, a_row, 1, *others), (a, 1, a_step, *others)
    indexes = row, column, b_rows, place
    if row == 0 and column == 0 and a_step == 1:
        all_tiles(zero, of_rows, indexes, CONTIGUOUS)
    elif row == 0 and column == 0:
        all_tiles(zero, of_columns, indexes, 0)
    elif row == 0:
        all_tiles(zero, of_columns, indexes, COLUMNS)
    elif place != 0:
        all_tiles(zero, (a, a_row, a_step, *others), indexes, ROWS | COLUMNS | PLACES)
    elif column == 0:
        all_tiles(zero, of_rows, indexes, ROWS)
    elif b_rows == 0:
        all_tiles(zero, of_rows, indexes, ROWS | COLUMNS)
    else:
        all_tiles(zero, of_rows, indexes, ROWS | COLUMNS | ROWS_OF_B)


@jit
def all_panels(zero, numbers, row_index, uses):
    """Compute all tiles by rows: a tile's rows of a stay in the first-level cache for all packed panels."""
    a, a_row, a_step, b, depth, target, target_row, rows, columns, accumulates, bias = numbers
    size = size_of(zero)
    width = REGISTER_BYTES // size
    panel = VECTORS_BY_ROWS * width
    for i in range(0, rows, TILE_ROWS):
        here = row_index + 8 * i, 0, 0, 0
        for j in range(0, columns, panel):
            right, own = columns - j, bias + j * size if bias != 0 else 0
            tile = (
                after(uses & ROWS, a, i * a_row * size), a_row, a_step, b + j * depth * size, panel, depth,
                target + (i * target_row + j) * size, target_row, right, accumulates, own,
            )  # fmt: skip
            if right >= panel:
                _8_PANEL(zero, tile, here, uses)
            elif right > 2 * width:
                _8_3M(zero, tile, here, uses)
            elif right > width:
                _8_2M(zero, tile, here, uses)
            else:
                _8_1(zero, tile, here, uses)


@shared
def multiply_panels(zero, a, a_row, b, depth, target, target_row, rows, columns, accumulates, bias, row):
    """Specialize `all_panels` for each kind of a, whose rows are whole tiles: packed, contiguous, or by index."""
    others = b, depth, target, target_row, rows, columns, accumulates, bias
    if a_row == PACKED_TILE:
        all_panels(zero, (a, 1, TILE_ROWS, *others), 0, PACKED)
    elif row == 0:
        all_panels(zero, (a, a_row, 1, *others), 0, CONTIGUOUS)
    else:
        all_panels(zero, (a, a_row, 1, *others), row, ROWS)


@jit
def copy_to_panels(zero, numbers, vectors):
    """Copy rows and columns of b, in any layout, to panels of so many vectors of columns, one after the other.

    Rows follow the index array at an address, if not 0.
    """
    b, b_row, b_step, rows, columns, packed, index = numbers
    size = size_of(zero)
    width = REGISTER_BYTES // size
    panel = vectors * width
    if b_step == 1:
        for k in range(rows):
            source, target = b + number_in(index, k) * b_row * size, packed + k * panel * size
            for j in range(0, columns, panel):
                given = source + j * size, target + j * rows * size, columns - j
                if vectors == 2:
                    copy_two(zero, given)
                else:
                    copy_three(zero, given)
    elif b_row == 1 and index == 0:
        for j in range(0, columns, width):
            start = packed + (j // panel * rows * panel + j % panel) * size
            for k in range(0, rows, width):
                source, target = b + (k + j * b_step) * size, start + k * panel * size
                transpose_square(zero, (source, b_step, target, panel, rows - k, columns - j))
    else:
        for k in range(rows):
            for j in range(columns):
                source = b + (number_in(index, k) * b_row + j * b_step) * size
                copy_number(zero, (source, packed + (j // panel * rows * panel + k * panel + j % panel) * size))


@shared
def pack(zero, b, b_row, b_step, rows, columns, packed, index):
    """Copy b to panels of two vectors of columns."""
    copy_to_panels(zero, (b, b_row, b_step, rows, columns, packed, index), 2)


@shared
def pack_by_rows(zero, b, b_row, b_step, rows, columns, packed, index):
    """Copy b to panels of a product by rows."""
    copy_to_panels(zero, (b, b_row, b_step, rows, columns, packed, index), VECTORS_BY_ROWS)


@jit
def pack_tile(zero, a, a_step, depth, index, packed):
    """Copy a tile's rows of a, which are columns in memory, step by step.

    The steps follow the index array at an address, if not 0.
    """
    size = size_of(zero)
    for k in range(depth):
        copy_tile_row(zero, (a + number_in(index, k) * a_step * size, packed + k * TILE_ROWS * size))
