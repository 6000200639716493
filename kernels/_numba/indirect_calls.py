"""Indirect calls from compiled code to kernels by address: once per array, never once per element."""

from typing import Any

from llvmlite import ir
from numba import types

from dnnkit.kernels._numba.extending import intrinsic
from dnnkit.kernels._numba.private import cgutils


def _caller(*kinds: types.Type) -> Any:
    """Return a function `(address, arguments)` that calls the function at the address; pointers are passed as integers.

    The callee uses Numba's native calling convention, not C's: return slot and exception slot come first; both are
    unused. Numba's C wrapper, which forwards all arguments, would cost a small network a tenth of a step: values
    written one by one and read back together defeat store-to-load forwarding.
    """
    word = ir.IntType(64)
    native = [ir.DoubleType() if kind is types.float64 else word for kind in kinds]

    @intrinsic
    def call(typing_context: Any, address: Any, arguments: Any) -> Any:
        signature = types.void(types.int64, types.Tuple(list(kinds)))

        def generate(context: Any, builder: Any, _: Any, values: Any) -> Any:
            slot = cgutils.alloca_once(builder, word)
            convention = ir.FunctionType(ir.IntType(32), [slot.type, slot.type, *native])
            function = builder.inttoptr(values[0], convention.as_pointer())
            given = [builder.extract_value(values[1], place) for place in range(len(kinds))]
            builder.call(function, [slot, ir.Constant(slot.type, None), *given])
            return context.get_dummy_value()

        return signature, generate

    return call


WORD, NUMBER = types.int64, types.float64
call_forward = _caller(WORD, WORD, WORD, WORD)
call_backward = _caller(WORD, WORD, WORD, WORD, WORD)
call_loss = _caller(WORD, WORD, WORD, WORD, WORD, NUMBER, WORD, WORD)
call_metric = _caller(WORD, WORD, WORD, WORD, WORD, NUMBER, WORD)
call_update = _caller(WORD, WORD, WORD, WORD, WORD, WORD, NUMBER, WORD)
call_run = _caller(WORD, WORD, WORD)
call_opcode = _caller(WORD, WORD, WORD, WORD)


@intrinsic
def call_python(typing_context: Any, address: Any, arguments: Any) -> Any:
    """Call a ctypes callback of four words in C's convention; return its result, a word.

    Acquires the GIL, whichever thread this is.
    """
    signature = WORD(WORD, types.UniTuple(WORD, 4))

    def generate(context: Any, builder: Any, _: Any, values: Any) -> Any:
        word = ir.IntType(64)
        function = builder.inttoptr(values[0], ir.FunctionType(word, [word] * 4).as_pointer())
        return builder.call(function, [builder.extract_value(values[1], place) for place in range(4)])

    return signature, generate


@intrinsic
def address_of(typing_context: Any, array: Any, start: Any = 0) -> Any:
    """Return the address of element `start` of a contiguous array."""
    begin = types.Omitted(0) if start == 0 else types.int64

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        place = data if start == 0 else builder.gep(data, [arguments[1]])
        return builder.ptrtoint(place, ir.IntType(64))

    return types.int64(array, begin), generate
