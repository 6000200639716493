"""Calling compiled kernels by their address, from compiled code: once a slice, never once an element."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic as numba_intrinsic

from dnnkit.kernels.compiled import compiled

intrinsic: Any = numba_intrinsic


def _caller(*kinds: types.Type) -> Any:
    """A function `(address, arguments)` that calls what is at the address; pointers are passed as numbers."""
    word = ir.IntType(64)
    native = [ir.DoubleType() if kind is types.float64 else word for kind in kinds]

    @intrinsic
    def call(typing_context: Any, address: Any, arguments: Any) -> Any:
        signature = types.void(types.int64, types.Tuple(list(kinds)))

        def generate(context: Any, builder: Any, _: Any, values: Any) -> Any:
            function = builder.inttoptr(values[0], ir.FunctionType(ir.VoidType(), native).as_pointer())
            builder.call(function, [builder.extract_value(values[1], place) for place in range(len(kinds))])
            return context.get_dummy_value()

        return signature, generate

    return call


WORD, NUMBER = types.int64, types.float64
call_forward = _caller(WORD, WORD, WORD, WORD)
call_backward = _caller(WORD, WORD, WORD, WORD, WORD)
call_loss = _caller(WORD, WORD, WORD, WORD, WORD, NUMBER, WORD, WORD, WORD, WORD, WORD)
call_update = _caller(WORD, WORD, WORD, WORD, WORD, WORD, NUMBER, WORD)


@compiled
def at(array, start=0):
    """The address of element `start` of a contiguous array."""
    return np.int64(array.ctypes.data) + start * array.itemsize
