"""How Numba compiles our kernels: one set of options, and kept on disk (`cache.py`)."""

import hashlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numba

from dnnkit.kernels._numba import whole_program
from dnnkit.kernels._numba.cache import GENERATED
from dnnkit.kernels._numba.compiling import keep
from dnnkit.kernels._numba.places import cache_folder as cache_folder  # for those who keep something beside
from dnnkit.kernels._numba.private import ccallback, sigutils, unliteral

FASTMATH = {"contract", "nsz"}
"""Not "nnan" or "ninf": with them a NaN in training would go unseen. Not "reassoc" or "arcp": they undo what the stable
formulas are written for (docs/design/0008-fastmath.md)."""

OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": FASTMATH}
"""With Python's error model every division tests for zero, and no loop with one is vectorised."""

INLINED: dict[str, Any] = {"forceinline": True}
"""A function that is called, not inlined, exists twice, optimised differently: by itself and in its caller's library.
Which copy runs depends on whether the caller was compiled or read from the cache, and so would the last bits."""


CALLED: dict[str, Any] = {"forceinline": False}
"""Said explicitly: an option that is left out is inherited from the caller."""


def inline(function: Callable[..., Any]) -> Any:
    """A function of numbers, compiled into each of its callers."""
    return _for_both(function, **INLINED)


def jit(function: Callable[..., Any]) -> Any:
    """A function of arrays, compiled for each kind of arguments it is called with, and kept on disk."""
    return _for_both(function, is_kept=True, **INLINED)


def jit_called(function: Callable[..., Any]) -> Any:
    """As `jit`, but not inlined into its callers: for what is large, and has no freedom in how it rounds."""
    return _for_both(function, is_kept=True, **CALLED)


def _for_both(function: Callable[..., Any], *, is_kept: bool = False, **options: Any) -> Any:
    """The function as Python calls it; compiled code that names it gets another version, without machine code."""
    options |= {"nogil": True} if is_kept else {}
    compiled: Any = numba.njit(pipeline_class=whole_program.Entry, **OPTIONS, **options)(function)
    if compiled is not function:  # which it is if Numba is told to compile nothing
        if is_kept:
            keep(compiled, function)
        callee: Any = numba.njit(pipeline_class=whole_program.Callee, **OPTIONS, **options)(function)

        def get_call_template(arguments: Any, keywords: Any) -> Any:
            # Numba would compile f(x, 0) and f(x, 1) apart; LLVM knows the numbers where the function is inlined.
            keywords = {name: unliteral(kind) for name, kind in keywords.items()}
            return callee.get_call_template([unliteral(kind) for kind in arguments], keywords)

        compiled.get_call_template, compiled.get_overload = get_call_template, callee.get_overload
    return compiled


def native(function: Callable[..., Any], signature: Any) -> Any:
    """A function of pointers and numbers, compiled now or read from the cache, to be called by its `address`."""
    made: Any = ccallback.CFunc(
        function, sigutils.normalize_signature(signature), {}, dict(OPTIONS), pipeline_class=whole_program.Entry
    )
    keep(made, function)
    made.compile()
    return made


def native_address(function: Any) -> int:
    """The address of what `native` made, to be called in Numba's convention; keep the function as long as it is used.

    Numba's C wrapper, whose address is `function.address`, stands in front of it.
    """
    return int(function._library.get_pointer_to_function(function.native_name.removeprefix("cfunc.")))


def module_from_source(name: str, source: str) -> ModuleType:
    """The module of that source; its name is the same in every process, for what is kept on disk refers to it."""
    module = ModuleType(f"{GENERATED}{name}_{hashlib.sha256(source.encode()).hexdigest()[:16]}")
    sys.modules[module.__name__] = module
    exec(compile(source, f"<{module.__name__}>", "exec"), module.__dict__)
    return module
