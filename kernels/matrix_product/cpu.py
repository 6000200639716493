"""Matrix product in tiles that stay in registers. Contract: the package's docstring.

A library packs both factors, to read them in the order it computes in. Where a lies in the second-level cache that
costs more than it saves: only a panel of b is packed, and where a has few rows not even that. Larger products go to the
BLAS. See docs/design/0014-tiles.md.
"""

from typing import Any

from numba import types
from numba.extending import overload

from dnnkit.kernels import blas
from dnnkit.kernels.compiled import INLINED, OPTIONS, compiled, linked
from dnnkit.kernels.matrix_product.tiles import (
    DEPTH,
    ROWS,
    broadcast_tile,
    copy_number,
    copy_row,
    multiply_add,
    panel,
    transpose_square,
)
from dnnkit.kernels.matrix_product.vectors import FUSED, REGISTER_BYTES
from dnnkit.kernels.views import element, part

RESOLVED: Any = {**OPTIONS, **INLINED}

TINY = 64
"""Multiplications in a product up to which it is done in plain loops."""

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


def numbers_from(index: Any, first: Any) -> Any:
    """The index from its number `first` on, for compiled code; None stays None."""
    raise NotImplementedError("compiled code only")


@overload(numbers_from, jit_options=RESOLVED)
def _numbers_from(index, first):
    if isinstance(index, types.NoneType):
        return lambda index, first: None
    return lambda index, first: part(index, first, index.size - first)


def number_in(index: Any, n: Any) -> Any:
    """index[n] for compiled code, or n itself if the index is None."""
    raise NotImplementedError("compiled code only")


@overload(number_in, jit_options=RESOLVED)
def _number_in(index, n):
    if isinstance(index, types.NoneType):
        return lambda index, n: n
    return lambda index, n: element(index, n)


@compiled
def two_vectors(out, a, a_row, a_step, row_index, column_index, b, b_row, depth, target, target_row, rows, columns,
                goes_on):  # fmt: skip
    """All rows of up to two vectors of columns."""
    size = out.itemsize
    width = REGISTER_BYTES // size
    i = 0
    while i < rows:
        left = rows - i
        here, index = a, numbers_from(row_index, i)
        if index is None:
            here = a + i * a_row * size
        numbers = (here, a_row, a_step, b, b_row, depth, target + i * target_row * size, target_row, columns, goes_on)
        if columns <= width:
            if left >= 2 * ROWS:
                _16_1(out, numbers, index, column_index)
                i += 2 * ROWS
            elif left >= ROWS:
                _8_1(out, numbers, index, column_index)
                i += ROWS
            elif left >= 2:
                _2_1(out, numbers, index, column_index)
                i += 2
            else:
                _1_1(out, numbers, index, column_index)
                i += 1
        elif left >= ROWS:
            if columns >= 2 * width:
                _8_2(out, numbers, index, column_index)
            else:
                _8_2M(out, numbers, index, column_index)
            i += ROWS
        elif left >= 2:
            _2_2(out, numbers, index, column_index)
            i += 2
        else:
            _1_2(out, numbers, index, column_index)
            i += 1


@compiled
def pack(out, b, b_row, b_step, rows, columns, packed):
    """Rows and columns of b, wherever they are, to the panel."""
    size = out.itemsize
    width = REGISTER_BYTES // size
    if b_step == 1:
        for k in range(rows):
            copy_row(out, (b + k * b_row * size, packed + k * 2 * width * size, columns))
    elif b_row == 1:
        for j in range(0, columns, width):
            for k in range(0, rows, width):
                source, target = b + (k + j * b_step) * size, packed + (k * 2 * width + j) * size
                transpose_square(out, (source, b_step, target, 2 * width, rows - k, columns - j))
    else:
        for k in range(rows):
            for j in range(columns):
                copy_number(out, (b + (k * b_row + j * b_step) * size, packed + (k * 2 * width + j) * size))


@linked
def multiply(out, a, a_row, a_step, row_index, column_index, b, b_row, b_step, depth):
    """out (M, N) = a · b; a and b are addresses, with strides in elements from row to row and from column to column.

    The rows of a are those that `row_index` numbers, its columns those of `column_index`; all, where that is None.
    """
    rows, columns, size = out.shape[0], out.shape[1], out.itemsize
    target, width = out.ctypes.data, REGISTER_BYTES // out.itemsize
    if depth == 0:
        out[...] = 0
    elif b_step == 1 and (rows < PACKED_ROWS or b_row * depth * size <= NEAR) and (b_row * size < FAR or rows == 1):
        j = 0
        while rows == 1 and columns - j >= 4 * width:
            numbers = (a, 0, a_step, b + j * size, b_row, depth, target + j * size, 0, 0, 0)
            if row_index is not None:
                numbers = (a, a_row, a_step, b + j * size, b_row, depth, target + j * size, 0, 0, 0)
            _1_4(out, numbers, row_index, column_index)
            j += 4 * width
        for start in range(j, columns, 2 * width):
            two_vectors(
                out, a, a_row, a_step, row_index, column_index, b + start * size, b_row, depth, target + start * size,
                columns, rows, columns - start, 0,
            )  # fmt: skip
    else:
        packed = panel(out)
        for k in range(0, depth, DEPTH):
            count = min(DEPTH, depth - k)
            here, index = a, numbers_from(column_index, k)
            if index is None:
                here = a + k * a_step * size
            for j in range(0, columns, 2 * width):
                left = min(2 * width, columns - j)
                pack(out, b + (k * b_row + j * b_step) * size, b_row, b_step, count, left, packed)
                two_vectors(
                    out, here, a_row, a_step, row_index, index, packed, 2 * width, count, target + j * size, columns,
                    rows, left, 1 if k > 0 else 0,
                )  # fmt: skip


@compiled
def in_loops(out, depth):
    """Whether a product is so small that it is done before tiles are arranged."""
    return depth * out.size <= TINY


@compiled
def loop(out, a, a_row, a_step, row_index, column_index, b, b_row, b_step, depth):
    """out (M, N) = a · b as plain loops; as `multiply`, but a and b are flat arrays."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            total = out.dtype.type(0)
            for k in range(depth):
                place = number_in(row_index, i) * a_row + number_in(column_index, k) * a_step
                total = multiply_add(element(a, place), element(b, k * b_row + j * b_step), total)
            out[i, j] = total


@compiled
def fits_tiles(elements, itemsize):
    """Whether a product with so many elements of a, or with its transpose, is computed here, not by the BLAS."""
    return FUSED and elements * itemsize <= CACHED


@compiled
def in_tiles(a):
    """The same, of an array."""
    return fits_tiles(a.size, a.itemsize)


@compiled
def product_of_rows(x, rows, w, out):
    """out = x[rows] · w, without gathering the rows; x (N, K) and w (K, O) are contiguous, x[rows] fits tiles."""
    depth, columns = x.shape[1], w.shape[1]
    if in_loops(out, depth):
        loop(out, part(x, 0, x.size), depth, 1, rows, None, part(w, 0, w.size), columns, 1, depth)
    else:
        multiply(out, x.ctypes.data, depth, 1, rows, None, w.ctypes.data, columns, 1, depth)


@compiled
def product_of_columns(x, rows, first, y, out):
    """out = (columns of x[rows] from the first on, as many as out has rows)ᵀ y; x (N, ...) and y (K, O) are contiguous.

    All rows of x, where `rows` is None; else x[rows] fits tiles.
    """
    depth, row, column = y.shape[0], x.shape[1], y.shape[1]
    if in_loops(out, depth):
        loop(out, part(x, first, x.size - first), 1, row, None, rows, part(y, 0, y.size), column, 1, depth)
    elif rows is not None or in_tiles(x):
        multiply(out, x.ctypes.data + first * x.itemsize, 1, row, None, rows, y.ctypes.data, column, 1, depth)
    else:
        blas.product(x.T, y, out)


@compiled
def product(a, b, out):
    """Both factors are contiguous or the transpose of a contiguous array."""
    depth, size = a.shape[1], out.itemsize
    a_row, a_step, b_row, b_step = (
        a.strides[0] // size, a.strides[1] // size, b.strides[0] // size, b.strides[1] // size
    )  # fmt: skip
    if in_loops(out, depth):
        loop(out, part(a, 0, a.size), a_row, a_step, None, None, part(b, 0, b.size), b_row, b_step, depth)
    elif in_tiles(a):
        multiply(out, a.ctypes.data, a_row, a_step, None, None, b.ctypes.data, b_row, b_step, depth)
    else:
        blas.product(a, b, out)
