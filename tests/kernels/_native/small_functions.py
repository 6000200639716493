"""Small native functions that are not compiled yet."""

import ctypes
from collections.abc import Iterator
from itertools import count

import pytest
from numba import types

from dnnkit.kernels._native import compile_progress, functions, kept, machine_code
from dnnkit.kernels._native.archive import Bitcode
from dnnkit.kernels._native.functions import Function
from dnnkit.kernels._numba.front_end import bitcode
from dnnkit.kernels._numba.jit import module_from_source

NUMBERS = count(1000)


def times(number: int, name: str = "") -> Function:
    """Return a function that writes `number` times its argument to an address."""
    source = f"def times(out, a):\n    out[0] = a * {number}\n"
    arguments = types.void(types.CPointer(types.float64), types.float64)

    def make(symbol: str) -> Bitcode:
        with module_from_source("small", source) as module:
            return bitcode(module.times, arguments, symbol)

    return Function(name or f"small.{number}", "float64", make)


def new() -> tuple[Function, int]:
    """Return one with a new name, and its number."""
    number = next(NUMBERS)
    return times(number), number


def value(function: Function) -> float:
    """Return its result for 2."""
    out = ctypes.c_double()
    function.from_python("wn")(ctypes.addressof(out), 2.0)
    return out.value


def forget(function: Function) -> Function:
    """As a new process would find it."""
    functions._addresses.pop((function.name, function.dtype), None)
    return function


class Compiled(list[str]):
    """Names of the modules that became machine code."""


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> Compiled:
    """Record every compilation from now on."""
    made, compile_bitcode = Compiled(), machine_code.compile_bitcode

    def spy(content: bytes) -> bytes:
        made.append("one")
        return compile_bitcode(content)

    monkeypatch.setattr(machine_code, "compile_bitcode", spy)
    return made


@pytest.fixture
def folders(monkeypatch: pytest.MonkeyPatch, tmp_path) -> Iterator[list]:
    """Folders to search, the last to write to; only the last at first."""
    found = [tmp_path / "own"]
    found[0].mkdir()
    for module in (kept, compile_progress):
        monkeypatch.setattr(module, "places", lambda: tuple(found))
    kept._tell_once.cache_clear()
    return found
