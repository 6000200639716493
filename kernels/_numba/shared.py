"""Functions that are machine code once, for all their callers, which know them by a symbol."""

import importlib
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types

from dnnkit.kernels._numba.extending import intrinsic
from dnnkit.kernels._numba.jit import native, native_address
from dnnkit.kernels._numba.private import cgutils

WORD = ir.IntType(64)


def shared(function: Callable[..., None]) -> Any:
    """A function of a zero, which says the dtype, and of whole numbers: compiled once for each dtype.

    It is called with the zero and a tuple of the others. For what is large: its callers are compiled sooner, and a call
    costs some nanoseconds.
    """
    place, count = (function.__module__, function.__name__), function.__code__.co_argcount - 1

    @intrinsic
    def call(typing_context: Any, zero: Any, numbers: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            dtype = str(signature.args[0])
            symbol = provide(*place, dtype)
            # A caller that is read from the cache needs the symbol before its code is loaded.
            context.active_code_library._reload_init.add(partial(provide, *place, dtype))
            slot = cgutils.alloca_once(builder, WORD)
            given = [arguments[0], *(builder.extract_value(arguments[1], n) for n in range(count))]
            kind = ir.FunctionType(ir.IntType(32), [slot.type, slot.type, *(value.type for value in given)])
            callee = cgutils.get_or_insert_function(builder.module, kind, symbol)
            builder.call(callee, [slot, ir.Constant(slot.type, None), *given])
            return context.get_dummy_value()

        return types.void(zero, types.UniTuple(types.int64, count)), generate

    call.shared_function = function
    return call


@cache
def _compiled(module: str, name: str, dtype: str) -> Any:
    function = getattr(importlib.import_module(module), name).shared_function
    numbers = [types.int64] * (function.__code__.co_argcount - 1)
    return native(function, types.void(getattr(types, dtype), *numbers))


@cache
def provide(module: str, name: str, dtype: str) -> str:
    """The symbol of a shared function, which LLVM knows from now on."""
    symbol = f"dnnkit_{name}_{dtype}"
    llvmlite.binding.add_symbol(symbol, native_address(_compiled(module, name, dtype)))
    return symbol
