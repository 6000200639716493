"""CUDA kernels as Python sees them: self-contained sources, their signatures, and one way to launch them.

A launcher (`gpu.py`) names the arguments; their order and their types are read from the kernel (`gpu.cu`) itself, so
the two cannot drift apart. CuPy compiles a source when it is first launched and keeps the result on disk; nothing here
imports it before.
"""

import importlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from dnnkit.kernels.array import Array
from dnnkit.kernels.registry import RUNTIME_ACTIVATIONS

ROOT = Path(__file__).parents[1]
REALS = {"float32": "float", "float64": "double"}
"""What `REAL` is for the dtypes that networks compute in."""

THREADS = 256
"""Threads of a block: every kernel here is written for so many."""

MOST_BLOCKS = 4096
"""Blocks of a launch at most, enough to fill any GPU; the kernels' loops take as many turns as that needs."""

PARTIALS = 1024
"""Blocks at most that each leave a partial sum, so also the size of the scratch memory of sums over a batch."""

TYPES = {
    "bool": "bool",
    "signed char": "int8",
    "unsigned char": "uint8",
    "short": "int16",
    "unsigned short": "uint16",
    "int": "int32",
    "unsigned int": "uint32",
    "long long": "int64",
    "unsigned long long": "uint64",
    "float": "float32",
    "double": "float64",
}
"""The types that a kernel's parameters may have, alone or pointed to, and their dtypes."""

NULL = np.uintp(0)
"""A pointer to nothing, as CuPy takes it: eight bytes by value."""

Signature = tuple[tuple[str, str], ...]
"""(type, name) of each parameter; a type is one of `TYPES`, a pointer ends with `*`; `const` is left out."""

INCLUDE = re.compile(r'[ \t]*#include "([^"]+)"[ \t]*')
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
KERNEL = re.compile(r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\([^()]*\)\s*)?(\w+)\s*\(([^()]*)\)')
QUALIFIER = re.compile(r"\b(?:const|__restrict__)\b")


@dataclass(frozen=True)
class Source:
    """A `.cu` file below `kernels/`, such as "gather/gpu.cu", with the macros that it is compiled with."""

    file: str
    macros: tuple[tuple[str, str], ...]

    @classmethod
    @cache
    def of(cls, file: str, dtype: str | None = None, **macros: str) -> "Source":
        """The file with these macros, and with REAL as the dtype says."""
        reals = {} if dtype is None else {"REAL": REALS[dtype]}
        return cls(file, tuple({**reals, **macros}.items()))

    def text(self) -> str:
        """The file with every `#include "…"` inlined, once each; macros in an included path are replaced."""
        return _text(self)

    def options(self) -> tuple[str, ...]:
        """What NVRTC is told. Not --use_fast_math: it would undo what the stable formulas are written for."""
        return ("-std=c++17", *(f"-D{name}={value}" for name, value in self.macros))

    def signatures(self) -> dict[str, Signature]:
        """The parameters of each kernel in the file."""
        return _signatures(self)


def signatures(text: str, macros: Mapping[str, str] | None = None) -> dict[str, Signature]:
    """The parameters of each `extern "C" __global__ void` function of a CUDA source, types with macros replaced."""
    found: dict[str, Signature] = {}
    for name, parameters in KERNEL.findall(COMMENT.sub(" ", text)):
        if name in found:
            raise TypeError(f"kernel {name} is there twice")
        found[name] = tuple(
            _parameter(_replaced(part, macros or {}), name) for part in parameters.split(",") if part.strip()
        )
    return found


def dtype_of(kind: str) -> np.dtype[Any]:
    """The dtype of a parameter's type, or of what it points to."""
    return np.dtype(TYPES[kind.removesuffix("*")])


def launch(
    source: Source,
    name: str,
    grid: int | tuple[int, ...],
    block: int | tuple[int, ...],
    arguments: Mapping[str, Any],
    shared_bytes: int = 0,
) -> None:
    """Run a kernel on the current device and stream, without waiting for it.

    `arguments` go by the names of the kernel's parameters: contiguous arrays of the dtype that is pointed to, None for
    a pointer to nothing, and numbers, which are converted to the parameter's type. All else raises `TypeError`.
    """
    import cupy

    kernel = _kernel(cupy, source, name)
    kernel.function(_three(grid), _three(block), kernel.ordered(arguments), shared_mem=shared_bytes)


def blocks(items: int, per_block: int = THREADS, most: int | None = None) -> int:
    """How many blocks of a grid have work when each takes `per_block` items at a time; at least 1."""
    return max(1, min(-(-items // per_block), MOST_BLOCKS if most is None else most))


def power_of_two(size: int, most: int) -> int:
    """The smallest power of two that is at least `size`, from 1 to `most`."""
    return min(most, 1 << max(0, size - 1).bit_length())


def contiguous(x: Array, dtype: Any = None) -> Array:
    """x itself if its elements lie one after the other in row-major order and are of the dtype, else such a copy."""
    if x.flags.c_contiguous and (dtype is None or x.dtype == dtype):
        return x
    import cupy

    return cupy.ascontiguousarray(x, dtype)


def empty(shape: int | tuple[int, ...], dtype: str) -> Array:
    """Memory on the current device, not initialised."""
    import cupy

    return cupy.empty(shape, dtype=dtype)


def modules() -> tuple[Source, ...]:
    """Every variant that ships: what tests compile, and run."""
    found: list[Source] = []
    for launcher in [*sorted(ROOT.glob("**/gpu.py")), ROOT / "_cuda" / "metrics.py"]:
        module = ".".join(launcher.relative_to(ROOT).with_suffix("").parts)
        found += importlib.import_module(f"dnnkit.kernels.{module}").sources()
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True)
class _Parameter:
    """A kernel's parameter, and how a launcher's value becomes it."""

    kernel: str
    kind: str
    name: str
    dtype: np.dtype[Any]

    def array(self, value: Any) -> Any:
        """The array that is pointed to, as CuPy takes it; a CuPy argument of None would not be a null pointer."""
        if value is None:
            return NULL
        if isinstance(value, np.generic) or getattr(value, "dtype", None) != self.dtype:
            given = getattr(value, "dtype", type(value).__name__)
            raise TypeError(f"{self.name} of kernel {self.kernel} is an array of {self.dtype}; given: {given}")
        if not value.flags.c_contiguous:
            raise TypeError(f"{self.name} of kernel {self.kernel} is not contiguous: strides {value.strides}")
        return value

    def number(self, value: Any) -> Any:
        """The number in the parameter's type."""
        if not isinstance(value, Real if self.dtype.kind == "f" else Integral):
            given = f"{type(value).__name__} {value!r}"
            raise TypeError(f"{self.name} of kernel {self.kernel} is a {self.kind}; given: {given}")
        return self.dtype.type(value)


@dataclass(frozen=True)
class _Kernel:
    """A compiled kernel, and what makes its parameters, by name in their order, of a launcher's values."""

    name: str
    function: Any
    parameters: dict[str, Callable[[Any], Any]]

    def ordered(self, arguments: Mapping[str, Any]) -> tuple[Any, ...]:
        """The arguments in the kernel's order, numbers in its types."""
        if arguments.keys() != self.parameters.keys():
            raise TypeError(f"kernel {self.name} takes {', '.join(self.parameters)}; given: {', '.join(arguments)}")
        return tuple([convert(arguments[name]) for name, convert in self.parameters.items()])


@cache
def _kernel(cupy: ModuleType, source: Source, name: str) -> _Kernel:
    """Compiled when it is first launched on a device: CuPy's RawModule holds one function a device."""
    parameters: dict[str, Callable[[Any], Any]] = {}
    for kind, parameter in source.signatures()[name]:
        found = _Parameter(name, kind, parameter, dtype_of(kind))
        parameters[parameter] = found.array if kind.endswith("*") else found.number
    return _Kernel(name, _module(cupy, source).get_function(name), parameters)


@cache
def _module(cupy: Any, source: Source) -> Any:
    return cupy.RawModule(code=source.text(), options=source.options(), backend="nvrtc")


@cache
def _signatures(source: Source) -> dict[str, Signature]:
    return signatures(source.text(), dict(source.macros))


@cache
def _text(source: Source) -> str:
    return "\n".join(_lines(source.file, dict(source.macros), set())) + "\n"


def _lines(file: str, macros: Mapping[str, str], seen: set[str]) -> Iterator[str]:
    """The file's lines, with `#line` so that a compiler's messages name the file they are about."""
    seen.add(file)
    yield f'#line 1 "{file}"'
    runtime = RUNTIME_ACTIVATIONS.get(file.removeprefix("activations/").removesuffix("/gpu.cu"))
    text = runtime.gpu if runtime is not None else (ROOT / file).read_text(encoding="utf-8")
    for number, line in enumerate(text.splitlines(), 1):
        include = INCLUDE.fullmatch(line)
        if include is None:
            yield line
            continue
        included = _replaced(include[1], macros)
        if included not in seen:
            yield from _lines(included, macros, seen)
        yield f'#line {number + 1} "{file}"'


def _replaced(text: str, macros: Mapping[str, str]) -> str:
    for name, value in macros.items():
        text = re.sub(rf"\b{name}\b", value, text)
    return text


def _parameter(text: str, kernel: str) -> tuple[str, str]:
    """(type, name) of one parameter's declaration."""
    *words, name = QUALIFIER.sub(" ", text).replace("*", " * ").split()
    kind = " ".join(words).replace(" *", "*")
    if kind.removesuffix("*") not in TYPES:
        raise TypeError(f"kernel {kernel}: the type of {text.strip()!r} is none of {', '.join(TYPES)} or a pointer")
    return kind, name


def _three(size: int | tuple[int, ...]) -> tuple[int, ...]:
    sizes = (size,) if isinstance(size, int) else size
    return (*sizes, 1, 1)[:3]
