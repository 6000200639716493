"""Software prefetch."""

from typing import Any

from llvmlite import ir
from numba import types

from dnnkit.kernels._numba.at_address import element
from dnnkit.kernels._numba.extending import intrinsic
from dnnkit.kernels._numba.jit import jit

LINE = 64
"""Bytes per cache line on most processors; where lines are longer, some are prefetched twice."""

WHOLE = 1 << 62
"""Prefetch all bytes of a row."""

STREAM = 4 * LINE
"""Enough bytes to trigger the hardware prefetcher, which fetches the rest of the row during computation. Prefetching
whole rows takes as long as waiting for them, because only about twenty lines can be in flight.
"""


@intrinsic
def _prefetch_line(typing_context: Any, address: Any) -> Any:
    """Prefetch the cache line at an address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [pointer], kind)
        to_read, into_second_level, is_data = number(0), number(2), number(1)
        place = builder.inttoptr(arguments[0], pointer)
        builder.call(function, [place, to_read, into_second_level, is_data])
        return context.get_dummy_value()

    return types.void(types.int64), generate


NEAR = 1 << 18
"""Data of up to this many bytes stay in a second-level cache; prefetching them gains nothing."""


@jit
def prefetch_rows(start, count, length, rows, most):
    """Prefetch the first `most` bytes of these rows, whose order no hardware prefetcher can predict.

    The data are `count` rows of `length` bytes, starting at address `start`.
    """
    if count * length <= NEAR:
        return
    end = most if most < length else length
    for n in range(rows.size):
        row = start + element(rows, n) * length
        for place in range(row, row + end, LINE):
            _prefetch_line(place)
