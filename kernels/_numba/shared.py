"""Functions compiled to machine code once; all callers link to them by symbol."""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types

from dnnkit.kernels._native.archive import Bitcode
from dnnkit.kernels._native.functions import SHARED, shared_symbols
from dnnkit.kernels._numba.extending import intrinsic
from dnnkit.kernels._numba.front_end import bitcode
from dnnkit.kernels._numba.private import cgutils

WORD = ir.IntType(64)


def shared(function: Callable[..., None]) -> Any:
    """Compile a function of a zero, whose type is the dtype, and of integers, once per dtype.

    It is called with the zero and a tuple of the integers. Meant for large functions: callers compile faster, and a
    call costs a few nanoseconds.
    """
    count, prefix = function.__code__.co_argcount - 1, f"{SHARED}{function.__module__}.{function.__name__}"
    shared_symbols.extend(f"{prefix}.{dtype}" for dtype in ("float32", "float64"))

    @intrinsic
    def call(typing_context: Any, zero: Any, numbers: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            symbol = f"{prefix}.{signature.args[0]}"
            slot = cgutils.alloca_once(builder, WORD)
            given = [arguments[0], *(builder.extract_value(arguments[1], n) for n in range(count))]
            kind = ir.FunctionType(ir.IntType(32), [slot.type, slot.type, *(value.type for value in given)])
            callee = cgutils.get_or_insert_function(builder.module, kind, symbol)
            builder.call(callee, [slot, ir.Constant(slot.type, None), *given])
            return context.get_dummy_value()

        return types.void(zero, types.UniTuple(types.int64, count)), generate

    def make(symbol: str, dtype: str) -> Bitcode:
        return bitcode(function, types.void(getattr(types, dtype), *[types.int64] * count), symbol)

    call.bitcode = make
    return call
