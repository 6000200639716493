"""`RawModule` of the stand-in: CUDA sources, compiled for the CPU and run there."""

import ctypes
import math
import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np

from tests.cuda_on_cpu.cupy_stand_in.addresses import at
from tests.cuda_on_cpu.cupy_stand_in.array import host, ndarray
from tests.cuda_on_cpu.cupy_stand_in.device import counts, current_device, launched, properties, stream_at

sanitize = False
"""Whether modules made from now on are compiled to detect accesses out of bounds."""

THREADS, BLOCKS, SHARED_BYTES, RESERVED_BYTES = 2048, 32, 228 << 10, 1 << 10
"""Limits of a multiprocessor: resident blocks and threads, and the shared memory that each block takes in addition to
its own."""


class RawModule:
    """As CuPy's: compiled when a kernel is first requested."""

    def __init__(
        self,
        code: str | None = None,
        *,
        path: str | None = None,
        options: tuple[str, ...] = (),
        backend: str = "nvrtc",
        translate_cucomplex: bool = False,
        enable_cooperative_groups: bool = False,
        name_expressions: Any = None,
        jitify: Any = None,
    ) -> None:
        assert code is not None, "the stand-in compiles sources only"
        assert code.isascii(), "CuPy writes the source to a file, in the locale's encoding"
        assert isinstance(options, tuple), "options are a tuple of strings"
        self._code, self._cooperative = code, enable_cooperative_groups
        given = [option.removeprefix("-D").partition("=") for option in options if option.startswith("-D")]
        self._macros = {name: value for name, _, value in given}
        self._module: Any = None

    def get_function(self, name: str) -> "RawKernel":
        from tests.cuda_on_cpu.compiling import compile_for_cpu

        if self._module is None:
            # CuPy adds -ftz=true, which concerns float alone; a processor's flag concerns double, too.
            flushes = self._macros.get("REAL") == "float"
            self._module = compile_for_cpu(self._code, self._macros, sanitize, self._cooperative, flushes)
        return RawKernel(name, self._module.get_function(name))


def launchKernel(  # noqa: N802 - CuPy's name
    f: int,
    grid_dim_x: int,
    grid_dim_y: int,
    grid_dim_z: int,
    block_dim_x: int,
    block_dim_y: int,
    block_dim_z: int,
    shared_mem_bytes: int,
    stream: int,
    kernel_params: int,
    extra: int,
) -> None:
    """As in CuPy's `cuda.driver`: arguments are read now, the memory that they point to when the kernel runs."""
    assert extra == 0
    kernel = _kernels[f]
    grid, block = (grid_dim_x, grid_dim_y, grid_dim_z), (block_dim_x, block_dim_y, block_dim_z)
    kinds = kernel._function.parameters
    pointers = (ctypes.c_void_p * len(kinds)).from_address(kernel_params)
    given = [(kind, _read(kind, place or 0)) for kind, place in zip(kinds, pointers, strict=True)]

    def launch() -> None:
        arguments = tuple(_resolved(kind, value) for kind, value in given)
        kernel._function(grid, block, arguments, shared_mem=shared_mem_bytes)

    where = stream_at(stream)
    if not where.is_capturing():
        counts.launches[kernel.name] += 1
        counts.prepared += 1
    launched(where, kernel.name, launch)


def _read(kind: str, address: int) -> Any:
    """An argument: a number, or an address."""
    dtype = np.dtype(np.uintp if kind.startswith("*") else kind)
    return np.frombuffer((ctypes.c_char * dtype.itemsize).from_address(address), dtype).copy()[0]


def _resolved(kind: str, value: Any) -> Any:
    """Return the argument as the machine expects it: memory from the address on."""
    if not kind.startswith("*") or value == 0:
        return value
    plain = kind.removeprefix("*").removeprefix("c")
    return at(int(value), np.uint8 if plain[0] in "vV" else plain)


_kernels: dict[int, "RawKernel"] = {}
"""Arrays by what stands for their address."""


class RawKernel:
    """A kernel; it takes contiguous arrays of its device and NumPy scalars, in a tuple."""

    def __init__(self, name: str, function: Any) -> None:
        self.name, self._function = name, function
        self.kernel = SimpleNamespace(ptr=1 + len(_kernels))
        _kernels[self.kernel.ptr] = self

    @property
    def max_dynamic_shared_size_bytes(self) -> int:
        """Shared memory that a launch may request; above 48 KiB it has to be set before, as in CUDA."""
        return self._function.max_dynamic_shared_size_bytes

    @max_dynamic_shared_size_bytes.setter
    def max_dynamic_shared_size_bytes(self, size: int) -> None:
        self._function.max_dynamic_shared_size_bytes = size

    def __call__(self, grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...], *, shared_mem: int = 0):
        assert isinstance(args, tuple), "a kernel's arguments are a tuple"
        assert all(isinstance(size, int) and size > 0 for size in (*grid, *block)), f"{self.name}: {grid}, {block}"
        assert shared_mem <= self.max_dynamic_shared_size_bytes, f"{self.name}: {shared_mem} bytes of shared memory"
        if self._function.module.cooperative:
            grid = self._resident(grid, math.prod(block), shared_mem)
        counts.launches[self.name] += 1
        return self._function(grid, block, tuple(map(self._argument, args)), shared_mem=shared_mem)

    def _resident(self, grid: tuple[int, ...], threads: int, shared_mem: int) -> tuple[int, ...]:
        """Return the cooperative grid that CuPy launches: of a line of blocks, those that the GPU can run at once."""
        fit = min(THREADS // threads, BLOCKS, SHARED_BYTES // (shared_mem + RESERVED_BYTES))
        most = fit * properties(current_device())["multiProcessorCount"]
        if math.prod(grid) <= most:
            return grid
        if math.prod(grid[1:]) > 1:
            raise ValueError(f"The specified grid size ({' * '.join(map(str, grid))}) exceeds the limit ({most})")
        warnings.warn(
            f"The grid size will be reduced from {grid[0]} to {most}, as the specified grid size exceeds the limit.",
            stacklevel=3,
        )
        return (most, *grid[1:])

    def _argument(self, value: Any) -> Any:
        if isinstance(value, ndarray):
            if not value._host.flags.c_contiguous:
                raise ValueError(
                    f"{self.name} was given an array of strides {value.strides}: a kernel reads it as dense"
                )
            return host(value)
        if isinstance(value, np.generic | bool | int | float):
            return value
        raise TypeError(f"Unsupported type {type(value)}")
