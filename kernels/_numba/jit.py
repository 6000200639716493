"""How functions are written that Numba compiles into native ones: one set of options.

None of them is machine code by itself; `kernels/_native/functions.py` says which are, with all that they call.
"""

import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import FunctionType, ModuleType
from typing import Any

import numba

from dnnkit.kernels._native.functions import provide_all
from dnnkit.kernels._numba.front_end import OPTIONS, Callee
from dnnkit.kernels._numba.private import unliteral

GENERATED = "dnnkit_generated_"
"""Begins the names of modules that are made from sources here; they end with the source's hash."""


INLINED: dict[str, Any] = {"forceinline": True}
CALLED: dict[str, Any] = {"forceinline": False}
"""Said explicitly: an option that is left out is inherited from the caller."""


def jit(function: Callable[..., Any]) -> Any:
    """A function, compiled into each of its callers."""
    return _compiled(function, INLINED)


def jit_called(function: Callable[..., Any]) -> Any:
    """As `jit`, but not inlined into its callers: for what is large, and has no freedom in how it rounds."""
    return _compiled(function, CALLED)


def jit_plain(modules: Iterable[ModuleType], instead: Mapping[str, Any]) -> dict[str, Any]:
    """The functions of modules in plain Python, which stay as they are, compiled: by name, and so they call each other.

    What they call by the name of one of `instead`, is that. For what is run in Python too, and on scalars: they are not
    inlined.
    """
    names: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for module in modules:
        names |= vars(module)
        own |= {name: f for name, f in vars(module).items() if getattr(f, "__module__", "") == module.__name__}
    for name, function in own.items():
        if isinstance(function, FunctionType):
            names[name] = jit_called(FunctionType(function.__code__, names, name, function.__defaults__))
    names.update(instead)
    return names


def _compiled(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    """The function for compiled code that names it; called from Python it is compiled by Numba as usual, for tests."""
    for_python: Any = numba.njit(nogil=True, **OPTIONS, **options)(function)
    callee: Any = numba.njit(pipeline_class=Callee, **OPTIONS, **options)(function)

    def get_call_template(arguments: Any, keywords: Any) -> Any:
        # Numba would compile f(x, 0) and f(x, 1) apart; LLVM knows the numbers where the function is inlined.
        keywords = {name: unliteral(kind) for name, kind in keywords.items()}
        return callee.get_call_template([unliteral(kind) for kind in arguments], keywords)

    if for_python is not function:  # which it is if Numba is told to compile nothing
        compile_now = for_python.compile

        def compile_for_python(signature: Any) -> Any:
            provide_all()
            return compile_now(signature)

        for_python.get_call_template, for_python.get_overload = get_call_template, callee.get_overload
        for_python.compile = compile_for_python
    return for_python


@contextmanager
def module_from_source(name: str, source: str) -> Iterator[ModuleType]:
    """The module of that source, which Python and Numba know as long as it is used: many formulas leave little."""
    module = ModuleType(f"{GENERATED}{name}_{hashlib.sha256(source.encode()).hexdigest()[:16]}")
    sys.modules[module.__name__] = module
    try:
        exec(compile(source, f"<{module.__name__}>", "exec"), module.__dict__)
        yield module
    finally:
        sys.modules.pop(module.__name__, None)
        vars(module).clear()  # Numba remembers it for as long as functions in it live, which are all in it
