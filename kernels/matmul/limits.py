"""Limits that decide which products are computed in tiles, and which by the BLAS."""

from dnnkit.kernels._target.processor import FUSED, MANY_REGISTERS, REGISTER_BYTES

DEPTH = 256
"""Columns of a, and rows of b, per block of the depth: b's, two vectors wide, are packed into 32 KiB with AVX-512,
which stays in the first-level cache.
"""

DEPTH_OF_COLUMNS = 128
"""The same where rows of a are columns in memory: each number of eight rows then lies in other cache lines, so that
tiles of 256 would push b's panel out of a first-level cache of 32 or 48 KiB.
"""

DEPTH_BY_ROWS = 512
"""The same for a product that is computed by rows (blocks.py): a tile's rows of a, 16 to 32 KiB, stay in that cache."""

LARGEST, LARGEST_AT_ONCE = (1 << 21, 1 << 20) if REGISTER_BYTES == 64 else (1 << 19, 1 << 18)
"""Bytes of a up to which it is read in place, and of `DEPTH` columns of a, which are read again for every two vectors
of columns of b, from a second-level cache. Processors with AVX-512 have 1 MiB and more, others 512 KiB.
"""

PREDICTED, PREDICTED_AT_ONCE = 1 << 19, 1 << (19 if REGISTER_BYTES == 64 else 18)
"""The same for the rows that are predicted at a time: the values of their layers are in that cache, too."""

MOST_TILE_ROWS = 8
"""Maximum rows of a tile of two vectors of columns."""

VECTORS_BY_ROWS = 3 if MANY_REGISTERS else 2
"""Vectors of columns per panel of packed b of a product that is computed by rows: three take fewer instructions per
multiply-add than two, which is what counts while another program uses the other half of a processor.
"""

PACKED_AREA = 1 << 19
"""Maximum bytes of packed columns of b: half of a second-level cache, or a quarter."""

IN_ROWS, IN_COLUMNS, BY_INDEX = 0, 1, 2
"""Orders of a: its rows are rows in memory, or columns, or columns that follow an index array."""

FAR_AWAY = 1 << 19
"""Bytes from which an array is hardly in a second-level cache when it is needed. A product is computed by rows
(blocks.py) if a has as many, or a and the product together if rows of a are rows in memory.
"""

FEW_COLUMNS = 2 * REGISTER_BYTES
"""Bytes per row of b up to which a is read only once in any order."""

LARGEST_BY_ROWS = 1 << (62 if REGISTER_BYTES == 64 else 19)
"""Bytes of a up to which a product is computed by rows; a larger one by the BLAS. With AVX-512, all are."""

LARGEST_IN_COLUMNS, SOME_COLUMNS = 1 << 22, 8 * REGISTER_BYTES
"""The same if rows of a are columns in memory and b has more bytes per row than the second number: blocks of the depth
are then so small that reading and writing the product again for each takes longer than the BLAS.
"""

LEAST_BYTES_BY_INDEX, LEAST_BYTES_PER_ROW_BY_INDEX = 1 << 16, 8 * REGISTER_BYTES
"""Bytes of a, and per row of b, from which a product is computed by rows if rows of a are columns in memory that follow
an index array.
"""

OFFERED = 1 << 20
"""Multiplications from which a product is offered to other threads (offer.py): about 15 µs."""


def fits_tiles(rows: int, columns: int, itemsize: int) -> bool:
    """Whether an a of this shape, or its transpose, is small enough to be read in place."""
    at_once = rows * min(columns, DEPTH) * itemsize
    return FUSED and rows * columns * itemsize <= LARGEST and at_once <= LARGEST_AT_ONCE


def is_read_once(columns: int, itemsize: int) -> bool:
    """Whether a product with this many columns reads a only once, so that the size of a does not matter."""
    return FUSED and columns * itemsize <= FEW_COLUMNS


def multiplies_in_tiles(rows: int, depth: int, columns: int, itemsize: int) -> bool:
    """Whether the product of a (rows, depth), or its transpose, by this many columns is computed in tiles.

    With one block of columns, a is read only once, so its size does not matter. Otherwise the BLAS computes it.
    """
    at_once = rows * min(depth, DEPTH) * itemsize  # as `fits_tiles`; compiled code calls this function
    few = columns * itemsize <= FEW_COLUMNS
    return FUSED and (few or (rows * depth * itemsize <= LARGEST and at_once <= LARGEST_AT_ONCE))


def columns_fit_tiles(rows: int, columns: int, itemsize: int) -> bool:
    """As `fits_tiles`, where a is data of which only the nonzero columns are read."""
    return FUSED and rows * columns * itemsize <= LARGEST


def most_rows(columns: int, itemsize: int) -> int:
    """Return the maximum rows, with this many columns, that are predicted at a time."""
    columns = max(1, columns)
    return min(PREDICTED // (columns * itemsize), PREDICTED_AT_ONCE // (min(columns, DEPTH) * itemsize))


def computes_by_rows(rows: int, depth: int, columns: int, itemsize: int, order: int) -> bool:
    """Whether a product is computed by rows, if there is memory for it; `order` is that of a."""
    given, row = rows * depth * itemsize, columns * itemsize
    if order == BY_INDEX:
        is_large = given >= LEAST_BYTES_BY_INDEX and row >= LEAST_BYTES_PER_ROW_BY_INDEX
    else:
        is_large = given + (rows * row if order == IN_ROWS else 0) >= FAR_AWAY and row > FEW_COLUMNS
    if order == IN_ROWS:
        return FUSED and is_large and given <= LARGEST_BY_ROWS
    return FUSED and is_large and (given <= LARGEST_IN_COLUMNS or row <= SOME_COLUMNS)


def padded(depth: int, itemsize: int) -> int:
    """Return the rows that packing this many rows of b may write: transposes are squares of a vector's width."""
    width = REGISTER_BYTES // itemsize
    return -(-depth // width) * width


def packed_bytes(rows: int, inputs: int, outputs: int, itemsize: int) -> int:
    """Return the bytes of memory for packed columns that the products of a dense layer use; 0 for none."""
    forward, of_input, of_kernel = (rows, inputs, outputs), (rows, outputs, inputs), (inputs, rows, outputs)
    products = [(forward, IN_ROWS), (of_input, IN_ROWS), (of_kernel, IN_COLUMNS), (of_kernel, BY_INDEX)]
    panel, needed = VECTORS_BY_ROWS * REGISTER_BYTES, 0
    for (height, depth, columns), order in products:
        if computes_by_rows(height, depth, columns, itemsize, order):
            row = columns * itemsize
            needed = max(needed, padded(min(depth, DEPTH_BY_ROWS), itemsize) * (row + -row % panel))
    return min(PACKED_AREA, max(needed, DEPTH_BY_ROWS * panel)) if needed else 0
