"""LLVM's part: bitcode becomes machine code of this processor, and machine code gets an address."""

import ctypes
import threading
from collections.abc import Sequence
from functools import cache, partial
from typing import Any

import llvmlite.binding as llvm

from dnnkit.kernels._target.llvm import machine, triple

LOCK = threading.RLock()
"""Of what is LLVM's and shared here."""


def compile_bitcode(bitcode: bytes) -> bytes:
    """Machine code for this processor, an object file."""
    with LOCK:
        module = llvm.parse_bitcode(bitcode)
        module.verify()
        code: bytes = _processor().emit_object(module)
    return code


def load(codes: Sequence[tuple[bytes, str]]) -> list[int]:
    """The addresses of functions, each given by its object file and its symbol; all that they call must be known.

    They stay as long as the process.
    """
    with LOCK:
        engine = _engine()
        for code, _ in codes:
            engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        engine.finalize_object()
        return [int(engine.get_function_address(symbol)) for _, symbol in codes]


def is_known(symbol: str) -> bool:
    """Whether what is loaded may call it."""
    return llvm.address_of_symbol(symbol) is not None


def make_known(symbol: str, address: int) -> None:
    """Let what is loaded from now on call it."""
    llvm.add_symbol(symbol, address)


def target() -> str:
    """What machine code is made for, and by whom."""
    cpu, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    return f"{triple()} {cpu} {features} LLVM {'.'.join(map(str, llvm.llvm_version_info))}"


@cache
def _processor() -> Any:
    return machine(llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())


@cache
def _engine() -> Any:
    """What links and holds machine code."""
    made_for = machine(llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), made_for)


def caller(address: int, kinds: str) -> Any:
    """What calls the function at an address, from Python, without the interpreter's lock.

    Of each argument, `kinds` says whether it is a word ("w"), which may be an address, or a number ("n"), a float64.
    Numba's convention has two arguments before them, for a result and for an exception, of which there are none.
    """
    types: dict[str, Any] = {"w": ctypes.c_int64, "n": ctypes.c_double}
    function = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, *(types[kind] for kind in kinds))
    return partial(function(address), _RESULT, None)


_KEPT = ctypes.c_int64()
_RESULT = ctypes.addressof(_KEPT)
"""Where functions without a result put it: nothing, always."""
