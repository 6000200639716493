"""Decorators for functions that Numba compiles into native ones: one set of options.

None of these functions is machine code by itself; `kernels/_native/functions.py` lists the ones that are, with their
callees.
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
"""Name prefix of modules generated from source; the names end with the hash of the source."""


INLINED: dict[str, Any] = {"forceinline": True}
CALLED: dict[str, Any] = {"forceinline": False}
"""Stated explicitly: Numba inherits omitted options from the caller."""


def jit(function: Callable[..., Any]) -> Any:
    """Compile a function inline into each of its callers."""
    return _compiled(function, INLINED)


def jit_called(function: Callable[..., Any]) -> Any:
    """As `jit`, but not inlined: for large functions whose rounding does not depend on the context."""
    return _compiled(function, CALLED)


def jit_plain(modules: Iterable[ModuleType], instead: Mapping[str, Any]) -> dict[str, Any]:
    """Compile the functions of plain Python modules, which stay unchanged, and return them by name.

    They call each other's compiled versions; calls to a name in `instead` go to its replacement. For code that also
    runs in Python, on scalars; not inlined.
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
    """Return the function for use in compiled code; called from Python, Numba compiles it as usual, for tests."""
    for_python: Any = numba.njit(nogil=True, **OPTIONS, **options)(function)
    callee: Any = numba.njit(pipeline_class=Callee, **OPTIONS, **options)(function)

    def get_call_template(arguments: Any, keywords: Any) -> Any:
        # Numba would compile f(x, 0) and f(x, 1) separately; LLVM knows the constants wherever f is inlined.
        keywords = {name: unliteral(kind) for name, kind in keywords.items()}
        return callee.get_call_template([unliteral(kind) for kind in arguments], keywords)

    if for_python is not function:  # they are the same object if Numba's JIT is disabled
        compile_now = for_python.compile

        def compile_for_python(signature: Any) -> Any:
            provide_all()
            return compile_now(signature)

        for_python.get_call_template, for_python.get_overload = get_call_template, callee.get_overload
        for_python.compile = compile_for_python
    return for_python


@contextmanager
def module_from_source(name: str, source: str) -> Iterator[ModuleType]:
    """Yield the module of this source, registered only while in use, so many formulas do not accumulate."""
    module = ModuleType(f"{GENERATED}{name}_{hashlib.sha256(source.encode()).hexdigest()[:16]}")
    sys.modules[module.__name__] = module
    try:
        exec(compile(source, f"<{module.__name__}>", "exec"), module.__dict__)
        yield module
    finally:
        sys.modules.pop(module.__name__, None)
        vars(module).clear()  # Numba keeps it as long as its functions live, and they live in it
