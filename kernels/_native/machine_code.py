"""LLVM's part: compile bitcode to machine code for this processor, load it and return its address."""

import ctypes
import threading
from collections.abc import Sequence
from functools import cache, partial
from typing import Any

import llvmlite.binding as llvm

from dnnkit.kernels._target.llvm import machine, triple

LOCK = threading.RLock()
"""Protects LLVM objects shared by threads."""


def compile_bitcode(bitcode: bytes) -> bytes:
    """Compile bitcode to an object file for this processor."""
    with LOCK:
        module = llvm.parse_bitcode(bitcode)
        module.verify()
        code: bytes = _processor().emit_object(module)
    return code


def load(codes: Sequence[tuple[bytes, str]]) -> list[int]:
    """Load functions, given by object file and symbol, and return their addresses; their symbols must be known.

    They stay loaded until the process ends.
    """
    with LOCK:
        engine = _engine()
        for code, _ in codes:
            engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        engine.finalize_object()
        return [int(engine.get_function_address(symbol)) for _, symbol in codes]


def is_known(symbol: str) -> bool:
    """Whether loaded code may call this symbol."""
    return llvm.address_of_symbol(symbol) is not None


def make_known(symbol: str, address: int) -> None:
    """Let code loaded from now on call this symbol."""
    llvm.add_symbol(symbol, address)


def target() -> str:
    """Describe the target and the compiler of machine code."""
    cpu, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    return f"{triple()} {cpu} {features} LLVM {'.'.join(map(str, llvm.llvm_version_info))}"


@cache
def _processor() -> Any:
    return machine(llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())


@cache
def _engine() -> Any:
    """Create the engine that links and holds machine code."""
    made_for = machine(llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), made_for)


def caller(address: int, kinds: str) -> Any:
    """Return a Python callable for the function at an address; it releases the GIL.

    `kinds` gives the type of each argument: "w" for a word, which may be an address, or "n" for a float64. Numba's
    convention has two arguments before them, for a result and an exception; both are unused.
    """
    types: dict[str, Any] = {"w": ctypes.c_int64, "n": ctypes.c_double}
    function = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, *(types[kind] for kind in kinds))
    return partial(function(address), _RESULT, None)


_KEPT = ctypes.c_int64()
_RESULT = ctypes.addressof(_KEPT)
"""Return slot of functions without a result; never written."""
