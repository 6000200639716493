"""Engine functions that Python calls: their arguments are addresses and integers."""

from collections.abc import Callable
from functools import cache
from importlib import import_module

from dnnkit.kernels._native.archive import Bitcode
from dnnkit.kernels._native.functions import Function

DEFINED_IN = {
    "run_workers": "interpreter",
    "predict_few": "interpreter",
    "stand_by": "crew",
    "run_in_crew": "crew",
    "read_ticks": "timing",
    "run_timed": "timing",
    "run_jobs": "many",
    "permute": "permutation",
    "find_lost_doubles": "finite",
    "find_lost_singles": "finite",
}
"""Function name -> module that defines it."""

ARGUMENTS = {
    "run_workers": 3,
    "predict_few": 1,
    "stand_by": 3,
    "run_in_crew": 5,
    "read_ticks": 1,
    "run_timed": 3,
    "run_jobs": 1,
    "permute": 5,
    "find_lost_doubles": 3,
    "find_lost_singles": 3,
}


def function_of(name: str, dtype: str) -> Function:
    """Return a function of the engine as machine code."""

    def make(symbol: str) -> Bitcode:
        from numba import types

        from dnnkit.kernels._numba.front_end import bitcode

        module = import_module(f"dnnkit.kernels._engine.{DEFINED_IN[name]}")
        return bitcode(getattr(module, name).py_func, types.void(*[types.int64] * ARGUMENTS[name]), symbol)

    return Function(f"engine.{name}", dtype, make)


@cache
def caller(name: str, dtype: str) -> Callable[..., None]:
    """Return the function, callable from Python; compile it if necessary."""
    made: Callable[..., None] = function_of(name, dtype).from_python("w" * ARGUMENTS[name])
    return made
