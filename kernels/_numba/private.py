"""Private interfaces of Numba that the compilation of kernels uses; they are imported here and nowhere else.

Numba does not guarantee them. The versions allowed by pyproject.toml and accepted by the backend provide them in the
form used here; each use has a test that reports what broke (tests/kernels/_numba/test_private.py).
"""

import importlib
from typing import Any

from numba.core import (
    cgutils,
    codegen,
    compiler,
    sigutils,
    typed_passes,
    untyped_passes,
)
from numba.core.compiler_lock import global_compiler_lock
from numba.core.compiler_machinery import register_pass
from numba.core.registry import cpu_target
from numba.core.types import unliteral
from numba.np.arrayobj import load_item, populate_array

make_function: Any = importlib.import_module("numba._dynfunc").make_function
"""Numba's constructor of Python functions from machine code."""

__all__ = [
    "cgutils",
    "codegen",
    "compiler",
    "cpu_target",
    "global_compiler_lock",
    "load_item",
    "make_function",
    "populate_array",
    "register_pass",
    "sigutils",
    "typed_passes",
    "unliteral",
    "untyped_passes",
]
