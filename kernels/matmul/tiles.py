"""Tiles of a product: all rows by a block of columns, and packing of what they read.

A BLAS packs both operands into the order in which it reads them. If a fits into the second-level cache, that costs more
than it saves: only a panel of b is packed then, and if a has few rows not even that. See docs/design/0014-tiles.md.
"""

from dnnkit.kernels._numba.at_address import size_of
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.shared import shared
from dnnkit.kernels._target.processor import REGISTER_BYTES
from dnnkit.kernels.matmul.gather_index import COLUMNS, PACKED, PLACES, ROWS, ROWS_OF_B, after, number_in
from dnnkit.kernels.matmul.microkernels import (
    TILE_ROWS,
    broadcast_tile,
    copy_number,
    copy_row,
    copy_tile_row,
    panel,
    transpose_square,
)
from dnnkit.kernels.matmul.offer import claim, finish, numbers_of

STEPS_AT_ONCE = 32
"""Steps, each from a row in memory, whose cache lines and pages are at hand while they are packed."""

PACKED_TILES = 0
"""Stands for the stride between rows of an a that was packed for the tiles."""

_16_1 = broadcast_tile(2 * TILE_ROWS, 1, True)
_8_2, _8_2M = broadcast_tile(TILE_ROWS, 2, False), broadcast_tile(TILE_ROWS, 2, True)
_8_1, _2_2, _2_1 = broadcast_tile(TILE_ROWS, 1, True), broadcast_tile(2, 2, True), broadcast_tile(2, 1, True)
_1_2, _1_1 = broadcast_tile(1, 2, True), broadcast_tile(1, 1, True)


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
            start_of_a, between_rows, step = after(uses & ROWS, a, i * a_row * size), a_row, a_step
            if uses & PACKED != 0:
                start_of_a, between_rows = a + i * depth * size, 1
                step = TILE_ROWS if left >= TILE_ROWS else 2 if left >= 2 else 1
            tile = (
                start_of_a, between_rows, step, b_block, b_row, depth,
                after(uses & PLACES, block, i * target_row * size), target_row, right, accumulates, own,
            )  # fmt: skip
            here = row_index + 8 * i, column_index, b_index, target_index + 8 * i
            if right <= width:
                if left >= 2 * TILE_ROWS and uses & PACKED == 0:
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
    if a_row == PACKED_TILES:
        all_blocks(zero, numbers, indexes, PACKED)
    elif row == 0 and column == 0:
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


@jit
def pack_columns(zero, a, a_step, rows, depth, index, area):
    """Copy rows of a that are columns in memory to an area as the tiles read them: all rows of a tile, step by step.

    The steps follow the index array at an address, if not 0.
    """
    size = size_of(zero)
    whole = rows - rows % TILE_ROWS
    for first in range(0, depth, STEPS_AT_ONCE):
        end = first + STEPS_AT_ONCE if depth - first > STEPS_AT_ONCE else depth
        for i in range(0, whole, TILE_ROWS):
            source, target = a + i * size, area + i * depth * size
            for k in range(first, end):
                step = number_in(index, k) * a_step * size
                copy_tile_row(zero, (source + step, target + k * TILE_ROWS * size))
    i = whole
    while i < rows:
        height = 2 if rows - i >= 2 else 1
        for k in range(depth):
            source = a + (i + number_in(index, k) * a_step) * size
            for n in range(height):
                copy_number(zero, (source + n * size, area + (i * depth + k * height + n) * size))
        i += height


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
