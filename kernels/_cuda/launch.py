"""Launching CUDA kernels from Python: one launch function, and grid sizes.

A launcher passes arguments by name; their order and types are read from the kernel's source (`source.py`), so the two
cannot drift apart. CuPy compiles a source on its first launch and caches the result on disk; nothing here imports CuPy
before that.
"""

import warnings
from collections.abc import Callable, Mapping
from functools import cache
from numbers import Integral, Real
from types import ModuleType
from typing import Any

import numpy as np

from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError, ShapeError
from dnnkit.kernels._cuda.compile_notice import compiling
from dnnkit.kernels._cuda.recording import current, refuse
from dnnkit.kernels._cuda.source import Source, dtype_of
from dnnkit.kernels.array import Array

THREADS = 256
"""Threads per block; every kernel here assumes it."""

MOST_BLOCKS = 1056
"""Maximum number of blocks per launch: eight for each of the 132 multiprocessors of an H100, all resident at once.

The kernels use grid-stride loops, with several elements per iteration.
"""

PARTIALS = 1024
"""Maximum number of blocks that each leave a partial sum, and so the size of the scratch memory of sums over a batch.
"""

MOST_COLUMNS = 1 << 30
"""Maximum columns per row: kernels count columns with 32 bits, unlike rows and elements."""

NULL = np.uintp(0)
"""Null pointer for a CuPy launch: eight bytes passed by value."""


def launch(
    source: Source,
    name: str,
    grid: int | tuple[int, ...],
    block: int | tuple[int, ...],
    arguments: Mapping[str, Any],
    shared_bytes: int = 0,
    cooperative: bool = False,
) -> None:
    """Launch a kernel on the current device and stream, asynchronously.

    `arguments` are named like the kernel's parameters: contiguous arrays of the dtype that is pointed to, None for a
    null pointer, and numbers, which are converted to the parameter's type. Anything else raises `TypeError`.

    The blocks of a `cooperative` launch all run at once and may wait for each other; a grid too large for that raises
    `ConfigurationError`.
    """
    import cupy

    kernel = _kernel(cupy, source, name, cooperative)
    ordered = kernel.ordered(arguments)
    if cooperative:
        refuse(f"kernel {name} is launched cooperatively")
        _whole(kernel, _three(grid), _three(block), ordered, shared_mem=shared_bytes)
    elif (recording := current()) is None:
        kernel.function(_three(grid), _three(block), ordered, shared_mem=shared_bytes)
    else:
        sizes, stream = (*_three(grid), *_three(block), shared_bytes), cupy.cuda.get_current_stream().ptr
        call, given = recording.kernel(kernel.function.kernel.ptr, sizes, ordered, stream)
        call(*given)


def blocks(items: int, per_block: int = THREADS, most: int | None = None) -> int:
    """Return how many blocks have work if each processes `per_block` items at a time; at least 1."""
    return max(1, min(-(-items // per_block), MOST_BLOCKS if most is None else most))


def power_of_two(size: int, most: int) -> int:
    """Return the smallest power of two that is at least `size`, between 1 and `most`."""
    return min(most, 1 << max(0, size - 1).bit_length())


def counted(columns: int) -> int:
    """Return a number of columns unchanged; raise `ShapeError` if it exceeds what kernels can count."""
    if columns > MOST_COLUMNS:
        raise ShapeError(f"a row of {columns} numbers; the GPU's kernels take {MOST_COLUMNS} at most: use shorter rows")
    return columns


def contiguous(x: Array, dtype: Any = None) -> Array:
    """Return x if it is row-major contiguous and of the dtype, else such a copy."""
    if x.flags.c_contiguous and (dtype is None or x.dtype == dtype):
        return x
    refuse("an array is copied to be contiguous or of another dtype")
    import cupy

    return cupy.ascontiguousarray(x, dtype)


def empty(shape: int | tuple[int, ...], dtype: str) -> Array:
    """Allocate uninitialized memory on the current device."""
    import cupy

    return cupy.empty(shape, dtype=dtype)


@dataclass(frozen=True)
class _Parameter:
    """A kernel's parameter, and the conversion of a launcher's value to it."""

    kernel: str
    kind: str
    name: str
    dtype: np.dtype[Any]

    def array(self, value: Any) -> Any:
        """Convert an array argument for CuPy; its None would not be a null pointer."""
        if value is None:
            return NULL
        if isinstance(value, np.generic) or getattr(value, "dtype", None) != self.dtype:
            given = getattr(value, "dtype", type(value).__name__)
            raise TypeError(f"{self.name} of kernel {self.kernel} is an array of {self.dtype}; given: {given}")
        if not value.flags.c_contiguous:
            raise TypeError(f"{self.name} of kernel {self.kernel} is not contiguous: strides {value.strides}")
        return value

    def number(self, value: Any) -> Any:
        """Convert a number to the parameter's type."""
        if not isinstance(value, Real if self.dtype.kind == "f" else Integral):
            given = f"{type(value).__name__} {value!r}"
            raise TypeError(f"{self.name} of kernel {self.kernel} is a {self.kind}; given: {given}")
        return self.dtype.type(value)


@dataclass(frozen=True)
class _Kernel:
    """A compiled kernel, and the conversions of its arguments, by parameter name in order."""

    name: str
    function: Any
    parameters: dict[str, Callable[[Any], Any]]

    def ordered(self, arguments: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the arguments in the kernel's order, numbers in its types."""
        if arguments.keys() != self.parameters.keys():
            raise TypeError(f"kernel {self.name} takes {', '.join(self.parameters)}; given: {', '.join(arguments)}")
        return tuple([convert(arguments[name]) for name, convert in self.parameters.items()])


def _whole(kernel: _Kernel, grid: tuple[int, ...], block: tuple[int, ...], arguments: Any, *, shared_mem: int) -> None:
    """Launch all blocks of a cooperative grid, or raise.

    CuPy drops the blocks that do not fit, with only a warning: their part would silently not be computed.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "The grid size will be reduced")
        try:
            kernel.function(grid, block, arguments, shared_mem=shared_mem)
        except UserWarning as warning:
            raise ConfigurationError(
                f"kernel {kernel.name}: the GPU cannot run {grid[0]} blocks of {block} threads with {shared_mem} bytes "
                "of shared memory at once, as a cooperative launch must; launch fewer"
            ) from warning


@cache
def _kernel(cupy: ModuleType, source: Source, name: str, cooperative: bool) -> _Kernel:
    """Return a kernel, compiled on its first launch on a device: CuPy's RawModule holds one function per device."""
    parameters: dict[str, Callable[[Any], Any]] = {}
    for kind, parameter in source.signatures()[name]:
        found = _Parameter(name, kind, parameter, dtype_of(kind))
        parameters[parameter] = found.array if kind.endswith("*") else found.number
    with compiling():
        function = _module(cupy, source, cooperative).get_function(name)
    return _Kernel(name, function, parameters)


@cache
def _module(cupy: Any, source: Source, cooperative: bool) -> Any:
    return cupy.RawModule(
        code=source.text(), options=source.options(), backend="nvrtc", enable_cooperative_groups=cooperative
    )


def _three(size: int | tuple[int, ...]) -> tuple[int, ...]:
    sizes = (size,) if isinstance(size, int) else size
    return (*sizes, 1, 1)[:3]
