"""Products block by block: the order of the loops, what is packed, and blocks that other threads compute.

In panels, two vectors of columns of b are packed, which stay in the first-level cache for all rows of a. By rows, many
columns of b are packed, and a tile's rows of a stay in that cache for all of them: arrays that are not in the
second-level cache are then read and written once, in the order of memory.
"""

from dnnkit.kernels._numba.at_address import size_of, vector
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.shared import shared
from dnnkit.kernels._target.processor import REGISTER_BYTES
from dnnkit.kernels.matmul import limits
from dnnkit.kernels.matmul.gather_index import after, skip
from dnnkit.kernels.matmul.limits import DEPTH_BY_ROWS, DEPTH_OF_COLUMNS, OFFERED, VECTORS_BY_ROWS
from dnnkit.kernels.matmul.microkernels import TILE_ROWS, panel
from dnnkit.kernels.matmul.offer import MOST_BLOCKS, claim, finish, numbers_of, open_offer, wait_until_finished
from dnnkit.kernels.matmul.offer_words import AREA, AREA_BYTES
from dnnkit.kernels.matmul.tiles import PACKED_TILE, multiply_panels, multiply_tiles, pack, pack_by_rows, pack_tile

GROUP = 1 << 19
"""Multiplications from which rows are a block that another thread may compute: about 7 µs."""


@jit
def evenly(count, most):
    """Return the size of parts of equal size, at most `most`, that `count` things are divided into."""
    return count if count <= most else -(-count // -(-count // most))


padded = jit(limits.padded)


@jit
def area_of(offer):
    """Return the bytes of memory for packed columns of b."""
    return vector(0, offer, AREA_BYTES + 1)[AREA_BYTES]


@jit
def multiply_in_panels(zero, numbers, most):
    """Compute a · b + bias, the arguments of `cpu.multiply_in_tiles`, in panels of at most `most` of the depth."""
    (
        target, rows, columns, a, a_row, a_step, b, b_row, b_step, depth, row_index, column_index, b_index,
        target_index, bias, offer,
    ) = numbers  # fmt: skip
    size = size_of(zero)
    width = 2 * (REGISTER_BYTES // size)
    block_depth = evenly(depth, most)
    for k in range(0, depth, block_depth):
        count = block_depth if depth - k > block_depth else depth - k
        block = (
            target, columns, rows, columns, after(column_index, a, k * a_step * size), a_row, a_step,
            after(b_index, b, k * b_row * size), b_row, b_step, count, row_index, skip(column_index, k),
            skip(b_index, k), target_index, bias if depth - k <= block_depth else 0, 1 if k > 0 else 0, 0,
        )  # fmt: skip
        multiply_blocks(zero, block, -(-columns // width), offer)


@shared
def multiply_by_rows(
    zero, target, rows, columns, a, a_row, a_step, b, b_row, b_step, depth, row_index, column_index, b_index,
    target_index, bias, offer,
):  # fmt: skip
    """Compute a · b + bias by rows; the offer has memory for b.

    Arguments are those of `cpu.multiply_in_tiles`, without row indices of the target.
    """
    size, area = size_of(zero), vector(0, offer, AREA + 1)[AREA]
    width = VECTORS_BY_ROWS * (REGISTER_BYTES // size)
    block_depth = evenly(depth, DEPTH_OF_COLUMNS if a_row == 1 else DEPTH_BY_ROWS)
    most = area_of(offer) // (padded(block_depth, size) * size)  # a panel's at least: limits.packed_bytes
    block_columns = evenly(columns, most - most % width)
    block_columns += -block_columns % width
    for j in range(0, columns, block_columns):
        wide = block_columns if columns - j > block_columns else columns - j
        for k in range(0, depth, block_depth):
            count = block_depth if depth - k > block_depth else depth - k
            start = after(b_index, b, k * b_row * size) + j * b_step * size
            given = start, b_row, b_step, count, wide, area, skip(b_index, k)
            pack_by_rows(zero, given)
            own = bias + j * size if bias != 0 and depth - k <= block_depth else 0
            group = TILE_ROWS * (1 + GROUP // (TILE_ROWS * wide * count))
            block = (
                target + j * size, columns, rows, wide, after(column_index, a, k * a_step * size), a_row, a_step,
                area, 0, 0, count, row_index, skip(column_index, k), 0, target_index, own, 1 if k > 0 else 0,
                group,
            )  # fmt: skip
            multiply_blocks(zero, block, -(-rows // group), offer)


@jit
def multiply_blocks(zero, numbers, blocks, offer):
    """Compute all blocks; offer those of a large product to other threads, if the address is not 0."""
    rows, columns, depth = numbers[2], numbers[3], numbers[10]
    if offer != 0 and 1 < blocks <= MOST_BLOCKS and rows * columns * depth >= OFFERED:
        open_offer(offer, numbers, blocks)
        take_blocks(zero, offer)
        wait_until_finished(offer, blocks)
    else:
        for number in range(blocks):
            multiply_block(zero, (*numbers, number))


@shared
def multiply_block(
    zero, target, target_row, rows, columns, a, a_row, a_step, b, b_row, b_step, depth, row_index, column_index,
    b_index, target_index, bias, accumulates, group, number,
):  # fmt: skip
    """Compute one block: `group` rows, of packed b; if `group` is 0, all rows of a panel, which is packed first."""
    size, memory = size_of(zero), panel()
    if group == 0:
        width = 2 * (REGISTER_BYTES // size)
        start = number * width
        left = width if columns - start > width else columns - start
        of_b = b + start * b_step * size, b_row, b_step, depth, left, memory, b_index
        pack(zero, of_b)
        own = bias + start * size if bias != 0 else 0
        given = (
            a, a_row, a_step, memory, width, depth, target + start * size, target_row, rows, left, accumulates, own,
            row_index, column_index, 0, target_index,
        )  # fmt: skip
        multiply_tiles(zero, given)
        return
    i = number * group
    end = i + group if rows - i > group else rows
    if a_row != 1 and column_index == 0:
        whole = end - i - (end - i) % TILE_ROWS
        start, place = after(row_index, a, i * a_row * size), target + i * target_row * size
        tiles = start, a_row, b, depth, place, target_row, whole, columns, accumulates, bias, skip(row_index, i)
        multiply_panels(zero, tiles)
        i += whole
    while a_row == 1 and row_index == 0 and end - i >= TILE_ROWS:
        pack_tile(zero, a + i * size, a_step, depth, column_index, memory)
        place = target + i * target_row * size
        tile = memory, PACKED_TILE, b, depth, place, target_row, TILE_ROWS, columns, accumulates, bias, 0
        multiply_panels(zero, tile)
        i += TILE_ROWS
    if i < end:
        rest = (
            after(row_index, a, i * a_row * size), a_row, a_step, b, depth, target + i * target_row * size, target_row,
            end - i, columns, accumulates, bias, skip(row_index, i), column_index,
        )  # fmt: skip
        multiply_strips(zero, rest)


@jit
def multiply_strips(zero, numbers):
    """Compute rows that are no whole tiles, or whose columns follow an index array, of packed b."""
    (
        a, a_row, a_step, b, depth, target, target_row, rows, columns, accumulates, bias, row_index, column_index,
    ) = numbers  # fmt: skip
    size = size_of(zero)
    most = 2 * (REGISTER_BYTES // size)
    width = VECTORS_BY_ROWS * (REGISTER_BYTES // size)
    for start in range(0, columns, width):
        end = start + width if columns - start > width else columns
        for j in range(start, end, most):
            strip = (
                a, a_row, a_step, b + (start * depth + j - start) * size, width, depth, target + j * size, target_row,
                rows, most if end - j > most else end - j, accumulates, bias + j * size if bias != 0 else 0, row_index,
                column_index, 0, 0,
            )  # fmt: skip
            multiply_tiles(zero, strip)


@jit
def take_blocks(zero, offer):
    """Compute blocks of an offered product until none is left."""
    number = claim(offer)
    while number >= 0:
        multiply_block(zero, (*numbers_of(offer), number))
        finish(offer)
        number = claim(offer)
