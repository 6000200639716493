"""NVIDIA's run-time compiler alone: from the pip package `nvidia-cuda-nvrtc`, without a GPU, a driver or CuPy."""

import ctypes
import ctypes.util
import importlib.util
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

CUPY_ADDS = ("-ftz=true", "--device-as-default-execution-space")
"""Options that CuPy adds to those of a module, so kernels that ship are compiled with them, too.

The first flushes float32 denormals to zero wherever they are read or written, in CuPy's kernels as in dnnkit's; it
comes last, so it cannot be overridden.
"""

WARNING = re.compile(r"\bwarning\b")


class CompileError(RuntimeError):
    """NVRTC's message about a source that it rejects."""


def find() -> str | None:
    """Return the library: that of the pip package, else of an installed toolkit."""
    return next((str(file) for place in _packages() for file in sorted(place.glob("*/lib/libnvrtc.so.*"))), None) or (
        ctypes.util.find_library("nvrtc")
    )


def compile_source(code: str, name: str, options: Sequence[str], into: str = "CUBIN") -> tuple[bytes, str]:
    """Compile a CUDA source; return (cubin or "PTX", log). Errors and warnings raise `CompileError` with NVRTC's log.

    Warnings are searched in the log: NVRTC 13.0 does not know the option -Werror.
    """
    library = _library()
    program = ctypes.c_void_p()
    _check(library.nvrtcCreateProgram(ctypes.byref(program), code.encode(), name.encode(), 0, None, None))
    try:
        given = [*options, *(f"-I{folder}" for folder in _includes())]
        strings = (ctypes.c_char_p * len(given))(*(option.encode() for option in given))
        refused = library.nvrtcCompileProgram(program, len(given), strings)
        log = _bytes(library, "ProgramLog", program).rstrip(b"\0").decode(errors="replace")
        if refused or WARNING.search(log):
            raise CompileError(log or f"NVRTC error {refused}")
        return _bytes(library, into, program), log
    finally:
        _check(library.nvrtcDestroyProgram(ctypes.byref(program)))


def version() -> str:
    """Return NVRTC's version, such as 13.0."""
    major, minor = ctypes.c_int(), ctypes.c_int()
    _check(_library().nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)))
    return f"{major.value}.{minor.value}"


def _packages() -> list[Path]:
    spec = importlib.util.find_spec("nvidia")  # a namespace that NVIDIA's packages share
    return [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []


def _includes() -> list[Path]:
    """Return the folders of CUDA's own headers, such as cooperative_groups.h, if their packages are installed."""
    folders = [folder for place in _packages() for folder in sorted(place.glob("*/include"))]
    return [folder for include in folders for folder in (include, include / "cccl") if folder.is_dir()]


@cache
def _library() -> Any:
    path = find()
    assert path is not None, "NVRTC is not installed: pip install nvidia-cuda-nvrtc"
    for builtins in sorted(Path(path).parent.glob("libnvrtc-builtins.so.*")):
        ctypes.CDLL(str(builtins))  # NVRTC opens it by name, and 13.0 finds only what is already loaded
    return ctypes.CDLL(path)


def _bytes(library: Any, what: str, program: ctypes.c_void_p) -> bytes:
    size = ctypes.c_size_t()
    _check(getattr(library, f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
    buffer = ctypes.create_string_buffer(size.value)
    _check(getattr(library, f"nvrtcGet{what}")(program, buffer))
    return buffer.raw


def _check(result: int) -> None:
    if result:
        raise CompileError(f"NVRTC error {result}")
