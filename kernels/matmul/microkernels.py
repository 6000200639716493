"""Microkernels of a matrix product: a few rows and columns of `out`, accumulated in registers over the whole depth.

Each is an intrinsic for compiled code, called with a zero of the dtype and a tuple of integers: addresses, strides in
elements, counts. Tiles that multiply also take the index arrays of a product.
"""

from typing import Any

from numba import types

from dnnkit.kernels._numba.extending import intrinsic
from dnnkit.kernels._numba.simd import WORD, Vectors, loop
from dnnkit.kernels._numba.stack import stack_memory
from dnnkit.kernels._target.processor import MANY_REGISTERS, REGISTER_BYTES
from dnnkit.kernels.matmul.gather_index import COLUMNS, PLACES, ROWS, ROWS_OF_B
from dnnkit.kernels.matmul.limits import DEPTH, MOST_TILE_ROWS

TILE_ROWS = MOST_TILE_ROWS if MANY_REGISTERS else 4
"""Rows of a tile with two vectors of columns: enough independent sums to hide the latency of multiply-adds, few enough
for the registers.
"""


def _numbers(builder: Any, numbers: Any, count: int) -> list[Any]:
    return [builder.extract_value(numbers, n) for n in range(count)]


def _tile(count: int, emit: Any, width: int = 0) -> Any:
    """Return the intrinsic `(zero, numbers)` that emits `emit(vectors, *numbers)`; the zero has the dtype."""

    @intrinsic
    def tile(typing_context: Any, zero: Any, numbers: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            emit(Vectors(builder, str(zero), width), *_numbers(builder, arguments[1], count))
            return context.get_dummy_value()

        return types.void(zero, types.UniTuple(types.int64, count)), generate

    return tile


def _numbers_in(builder: Any, uses: Any, bit: int, index: Any, numbers: list[Any]) -> list[Any]:
    """Return elements of an index array at an address: index[n], or n itself if there is none.

    LLVM removes the branch, because `uses` is constant wherever a tile is inlined.
    """
    before, there_is = builder.block, builder.icmp_signed("!=", builder.and_(uses, WORD(bit)), WORD(0))
    with builder.if_then(there_is):
        start, end = builder.inttoptr(index, WORD.as_pointer()), builder.block
        found = [builder.load(builder.gep(start, [n])) for n in numbers]
    results = []
    for n, value in zip(numbers, found, strict=True):
        results.append(builder.phi(WORD))
        results[-1].add_incoming(n, before)
        results[-1].add_incoming(value, end)
    return results


def broadcast_tile(rows: int, vectors: int, masked: bool, width: int = 0, steps: int = 1) -> Any:
    """Return a tile for b with contiguous rows: an element of a times vectors of b.

    `masked`, if `columns` do not fill the vectors. Vectors may have another `width` than registers; with width 1, b may
    have any layout. `steps` of the depth are one turn of the loop.

    Numbers: a, a_row, a_step, b, b_row, depth, target, target_row, columns, accumulates, bias. With `accumulates` 1 the
    tile is added to the target, with 0 it overwrites it; at last the row of numbers at `bias`, unless that is 0, is
    added to each row. The index arrays are addresses; `uses` has the bits of those that exist.
    """

    @intrinsic
    def tile(typing_context: Any, zero: Any, numbers: Any, indexes: Any, uses: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            _, numbers, indexes, uses = arguments
            indexes = _numbers(builder, indexes, 4)
            emit(Vectors(builder, str(zero), width), indexes, uses, *_numbers(builder, numbers, 11))
            return context.get_dummy_value()

        eleven, four = types.UniTuple(types.int64, 11), types.UniTuple(types.int64, 4)
        return types.void(zero, eleven, four, types.int64), generate

    def emit(
        v: Vectors, indexes: Any, uses: Any, a: Any, a_row: Any, a_step: Any, b: Any, b_row: Any, depth: Any,
        target: Any, target_row: Any, columns: Any, accumulates: Any, bias: Any,
    ) -> None:  # fmt: skip
        tail = v.first(v.builder.sub(columns, WORD((vectors - 1) * v.width))) if masked else None
        masks = [tail if j == vectors - 1 else None for j in range(vectors)]

        def row_of(address: Any) -> list[Any]:
            return [v.place(address, WORD(j * v.width)) for j in range(vectors)]

        def numbers_in(bit: int, numbers: list[Any]) -> list[Any]:
            return _numbers_in(v.builder, uses, bit, indexes[bit.bit_length() - 1], numbers)

        in_order = [WORD(i) for i in range(rows)]
        starts = [v.place(a, v.builder.mul(a_row, row)) for row in numbers_in(ROWS, in_order)]
        targets = [row_of(v.place(target, v.builder.mul(target_row, row))) for row in numbers_in(PLACES, in_order)]

        def read(_: list[Any]) -> list[Any]:
            return [v.load(place, mask) for row in targets for place, mask in zip(row, masks, strict=True)]

        sums = loop(v.builder, accumulates, [v.zero] * (rows * vectors), read)

        def turn(carried: list[Any]) -> list[Any]:
            k, *sums = carried
            column, row_of_b = numbers_in(COLUMNS, [k]) + numbers_in(ROWS_OF_B, [k])
            step, b_now = v.builder.mul(a_step, column), v.place(b, v.builder.mul(b_row, row_of_b))
            several = [v.load(place, mask) for place, mask in zip(row_of(b_now), masks, strict=True)]
            for i in range(rows):
                number = v.spread(v.place(starts[i], step))
                for j in range(vectors):
                    sums[i * vectors + j] = v.multiply_add(number, several[j], sums[i * vectors + j])
            return [v.builder.add(k, WORD(1)), *sums]

        def add_bias(sums: list[Any]) -> list[Any]:
            own = [v.load(place, mask) for place, mask in zip(row_of(bias), masks, strict=True)]
            return [v.builder.fadd(total, own[n % vectors]) for n, total in enumerate(sums)]

        def several(carried: list[Any]) -> list[Any]:
            for _ in range(steps):
                carried = turn(carried)
            return carried

        carried, left = [WORD(0), *sums], depth
        if steps > 1:
            carried = loop(v.builder, v.builder.sdiv(depth, WORD(steps)), carried, several)
            left = v.builder.srem(depth, WORD(steps))
        _, *sums = loop(v.builder, left, carried, turn)
        has_bias = v.builder.zext(v.builder.icmp_signed("!=", bias, WORD(0)), WORD)
        sums = loop(v.builder, has_bias, sums, add_bias)
        for i in range(rows):
            for place, mask, value in zip(targets[i], masks, sums[i * vectors :], strict=False):
                v.store(value, place, mask)

    return tile


def _sums(vectors: int, masked: bool) -> Any:
    """Return a tile that sums the rows of a matrix, in order. Numbers: x, row, rows, target, columns."""

    def emit(v: Vectors, x: Any, row: Any, rows: Any, target: Any, columns: Any) -> None:
        mask = v.first(columns) if masked else None

        def turn(carried: list[Any]) -> list[Any]:
            start, *sums = carried
            several = [v.load(v.place(start, WORD(j * v.width)), mask) for j in range(vectors)]
            return [v.place(start, row), *map(v.builder.fadd, sums, several)]

        _, *sums = loop(v.builder, rows, [x, *[v.zero] * vectors], turn)
        for j, value in enumerate(sums):
            v.store(value, v.place(target, WORD(j * v.width)), mask)

    return _tile(5, emit)


sums_of_four, sums_of_one = _sums(4, False), _sums(1, True)
"""Sums of four vectors of columns, and of up to one."""


def _copy(vectors: int) -> Any:
    """Return a tile that copies up to this many vectors of numbers to a panel, padded with zeros.

    Numbers: source, target, columns.
    """

    def emit(v: Vectors, source: Any, target: Any, columns: Any) -> None:
        for j in range(vectors):
            place = WORD(j * v.width)
            mask = v.first(v.builder.sub(columns, place))
            v.store(v.load(v.place(source, place), mask), v.place(target, place))

    return _tile(3, emit)


copy_two, copy_three = _copy(2), _copy(3)


def _emit_transpose(
    v: Vectors, source: Any, source_column: Any, target: Any, target_row: Any, rows: Any, columns: Any
) -> None:
    last = v.builder.sub(columns, WORD(1))
    mask, whole = v.first(rows), []
    for j in range(v.width):
        number = v.builder.select(v.builder.icmp_signed("<", WORD(j), last), WORD(j), last)
        whole.append(v.load(v.place(source, v.builder.mul(source_column, number)), mask))
    for k, row in enumerate(v.transpose(whole)):
        v.store(row, v.place(target, v.builder.mul(target_row, WORD(k))))


transpose_square = _tile(6, _emit_transpose)
"""Transpose a square of `width` contiguous columns to the rows of a panel. Numbers: source, source_column, target,
target_row; then the rows and columns that exist: missing rows are zeros, missing columns repeat the last one.
"""


def _emit_copy_of_tile(v: Vectors, source: Any, target: Any) -> None:
    v.store(v.load(source), target)


copy_tile_row = _tile(2, _emit_copy_of_tile, TILE_ROWS)
"""Copy `TILE_ROWS` numbers. Numbers: source, target."""


def _emit_number(v: Vectors, source: Any, target: Any) -> None:
    pointer = v.number.as_pointer()
    value = v.builder.load(v.builder.inttoptr(source, pointer))
    v.builder.store(value, v.builder.inttoptr(target, pointer))


copy_number = _tile(2, _emit_number)
"""Copy one number. Numbers: source, target."""


panel = stack_memory(DEPTH * 2 * REGISTER_BYTES)
"""Return the address of memory for a packed panel: `DEPTH` rows of two vectors."""
