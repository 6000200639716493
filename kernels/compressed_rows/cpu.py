"""Products of compressed rows, in the tiles of the dense product. Contract: the package's docstring.

A row of results stays in registers while it is summed over the row's numbers. Their columns select the rows of w, like
the index array of a dense product (`kernels/matmul/gather_index.py`).
"""

from dnnkit.kernels._numba.at_address import element, size_of
from dnnkit.kernels._numba.indirect_calls import address_of
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._target.processor import REGISTER_BYTES
from dnnkit.kernels.matmul.gather_index import ROWS_OF_B
from dnnkit.kernels.matmul.microkernels import broadcast_tile

_1_8 = broadcast_tile(1, 8, False)
_1_4, _1_3, _1_2, _1_1 = (broadcast_tile(1, vectors, True) for vectors in (4, 3, 2, 1))


@jit
def sum_rows(zero, a, depth, b, index, target, outputs, accumulates, uses):
    """Write to a row of the target, or with `accumulates` 1 add to it, the sum of `depth` rows of b times numbers of a.

    All are given by address. With `uses` ROWS_OF_B the index array selects the rows of b, with 0 they are in order.
    """
    size, indexes, j = size_of(zero), (0, 0, index, 0), 0
    width = REGISTER_BYTES // size
    while j < outputs:
        left = outputs - j
        tile = a, 0, 1, b + j * size, outputs, depth, target + j * size, 0, left, accumulates, 0
        if left >= 8 * width:
            _1_8(zero, tile, indexes, uses)
            j += 8 * width
        elif left > 3 * width:
            _1_4(zero, tile, indexes, uses)
            j += 4 * width
        elif left > 2 * width:
            _1_3(zero, tile, indexes, uses)
            j += 3 * width
        elif left > width:
            _1_2(zero, tile, indexes, uses)
            j += 2 * width
        else:
            _1_1(zero, tile, indexes, uses)
            j += width


@jit
def product(starts, columns, values, rows, w, out):
    """Compute out = x[rows] · w."""
    zero, outputs = out.dtype.type(0), w.shape[1]
    for i in range(rows.size):
        row = element(rows, i)
        first = element(starts, row)
        count = element(starts, row + 1) - first
        place, index, target = address_of(values, first), address_of(columns, first), address_of(out, i * outputs)
        sum_rows(zero, place, count, address_of(w), index, target, outputs, 0, ROWS_OF_B)


@jit
def begin(starts, rows, places):
    """Let `places` (B,) be where the numbers of these rows start."""
    for i in range(rows.size):
        places[i] = element(starts, element(rows, i))


@jit
def transposed_piece(starts, columns, values, rows, y, places, first, out):
    """Compute out = (x[rows]ᵀ · y)[first : first + rows of out], and move `places` behind the numbers that were used.

    Pieces are computed in order, after `begin`.
    """
    zero, outputs, last = out.dtype.type(0), y.shape[1], first + out.shape[0]
    for j in range(out.shape[0]):
        for o in range(outputs):
            out[j, o] = 0
    for i in range(rows.size):
        e, end, row = element(places, i), element(starts, element(rows, i) + 1), address_of(y, i * outputs)
        while e < end and element(columns, e) < last:
            target = address_of(out, (element(columns, e) - first) * outputs)
            sum_rows(zero, address_of(values, e), 1, row, 0, target, outputs, 1, 0)
            e += 1
        places[i] = e


@jit
def transposed_product(starts, columns, values, rows, y, out, places):
    """Compute out = x[rows]ᵀ · y."""
    begin(starts, rows, places)
    transposed_piece(starts, columns, values, rows, y, places, 0, out)
