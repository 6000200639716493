"""Functions that exist in compiled code only: emitted as LLVM instructions, or selected by argument types."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from llvmlite import ir
from numba import extending, types

from dnnkit.kernels._numba.front_end import OPTIONS, Callee
from dnnkit.kernels._numba.private import cgutils

intrinsic: Any = extending.intrinsic
"""Numba's decorator, which is untyped: the function gets Numba types, and returns a signature and a generator of the
instructions.
"""


TRUE_BIT: Any = cgutils.true_bit
"""LLVM's `true` constant."""

declared_function: Any = cgutils.get_or_insert_function
"""Return the function of this signature and name in a module, declaring it if necessary: `(module, signature, name)`.
"""


@intrinsic
def fused_multiply_add(typing_context: Any, x: Any, y: Any, z: Any) -> Any:
    """Return x y + z, rounded once; for processors that have an instruction for it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = arguments[0].type
        name = {types.float32: "llvm.fma.f32", types.float64: "llvm.fma.f64"}[signature.return_type]
        return builder.call(declared_function(builder.module, ir.FunctionType(kind, [kind] * 3), name), arguments)

    return x(x, x, x), generate


def resolved_by_type(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Decorate a function that receives Numba types when a caller is compiled, and returns the version for them.

    The version is compiled with the common options and these. Called from Python, the function raises
    `NotImplementedError`.
    """

    common_and_these: Any = {"pipeline_class": Callee, **OPTIONS, **options}

    def declare(resolve: Callable[..., Any]) -> Any:
        @wraps(resolve)
        def function(*arguments: Any) -> Any:
            raise NotImplementedError(f"{resolve.__name__}: compiled code only")

        extending.overload(function, jit_options=common_and_these)(resolve)
        return function

    return declare
