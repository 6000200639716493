"""Asking for memory before it is needed."""

from typing import Any

from llvmlite import ir
from numba import types

from dnnkit.kernels._numba.extending import intrinsic
from dnnkit.kernels._numba.indirect_calls import address_of
from dnnkit.kernels._numba.jit import jit

LINE = 64
"""Bytes of a cache line, on most processors; where it is more, some lines are asked for twice."""

WHOLE = 1 << 62
"""As many bytes as a row has."""

STREAM = 4 * LINE
"""As many as show the processor where a row leads: it asks for what follows by itself, while it computes. To ask for
whole rows takes as long as to wait for them: there is room for some twenty lines on the way."""


@intrinsic
def _ask_for(typing_context: Any, address: Any) -> Any:
    """Start to read the cache line at an address; a hint, which nothing waits for."""

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
"""Bytes of data that stay in a second-level cache once they are there."""


@jit
def ask_for_rows(data, rows, most):
    """Start to read the first bytes, at most so many, of these rows of data (N, F): they lie anywhere, and each would
    be waited for."""
    length = data.shape[1] * data.itemsize
    if data.shape[0] * length <= NEAR:
        return
    for row in rows:
        start = address_of(data) + row * length
        for place in range(0, min(length, most), LINE):
            _ask_for(start + place)
