"""Memory on the stack of compiled code, for a block that is used between two loops."""

from typing import Any

from llvmlite import ir
from numba import types

from dnnkit.kernels._numba.extending import intrinsic
from dnnkit.kernels._numba.simd import WORD


def stack_memory(size: int) -> Any:
    """Return a function for compiled code that returns the address of `size` bytes on its caller's stack."""

    @intrinsic
    def memory_on_stack(typing_context: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            with builder.goto_entry_block():
                memory = builder.alloca(ir.ArrayType(ir.IntType(8), size))
            memory.align = 64
            return builder.ptrtoint(memory, WORD)

        return types.int64(), generate

    return memory_on_stack
