"""Functions for compiled code only: made of LLVM's instructions, or chosen by the types of their arguments."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from numba import extending

from dnnkit.kernels._numba.front_end import OPTIONS, Callee
from dnnkit.kernels._numba.private import cgutils

intrinsic: Any = extending.intrinsic
"""Numba's decorator, which comes without types: its function gets Numba's types, and returns a signature and what emits
the instructions."""


TRUE_BIT: Any = cgutils.true_bit
"""LLVM's `true`."""

declared_function: Any = cgutils.get_or_insert_function
"""The function of that signature and name in a module, declared if it is not there: `(module, signature, name)`."""


def resolved_by_type(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """A function that is called with Numba's types when a caller is compiled, and returns the version for them.

    It is compiled with the common options and these. Called from Python, it raises `NotImplementedError`.
    """

    common_and_these: Any = {"pipeline_class": Callee, **OPTIONS, **options}

    def declare(resolve: Callable[..., Any]) -> Any:
        @wraps(resolve)
        def function(*arguments: Any) -> Any:
            raise NotImplementedError(f"{resolve.__name__}: compiled code only")

        extending.overload(function, jit_options=common_and_these)(resolve)
        return function

    return declare
