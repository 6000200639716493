"""CUDA sources: self-contained text with its macros, and the signatures of its kernels."""

import importlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from dnnkit.deferred import dataclass
from dnnkit.kernels.registry import runtime_versions

ROOT = Path(__file__).parents[1]
REALS = {"float32": "float", "float64": "double"}
"""The type `REAL` for each dtype that networks compute in."""

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
"""Types that a kernel's parameters may have, by value or as pointers, and their dtypes."""

Signature = tuple[tuple[str, str], ...]
"""(type, name) of each parameter; a type is one of `TYPES`, with `*` for a pointer; `const` is dropped."""

INCLUDE = re.compile(r'[ \t]*#include "([^"]+)"[ \t]*')
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
KERNEL = re.compile(
    r'extern\s+"C"\s+__global__\s+void\s+(?:__(?:launch_bounds|cluster_dims)__\s*\([^()]*\)\s*)*(\w+)\s*\(([^()]*)\)'
)
QUALIFIER = re.compile(r"\b(?:const|__restrict__)\b")


@dataclass(frozen=True)
class Source:
    """A `.cu` file below `kernels/`, such as "gather/gpu.cu", with the macros it is compiled with."""

    file: str
    macros: tuple[tuple[str, str], ...]

    @classmethod
    @cache
    def of(cls, file: str, dtype: str | None = None, **macros: str) -> "Source":
        """Return the file with these macros, and with REAL for the dtype."""
        reals = {} if dtype is None else {"REAL": REALS[dtype]}
        return cls(file, tuple({**reals, **macros}.items()))

    @cache  # noqa: B019 - sources are few, and kept anyway
    def having(self, **macros: str) -> "Source":
        """Return the source with further macros."""
        return replace(self, macros=tuple({**dict(self.macros), **macros}.items()))

    @property
    def itemsize(self) -> int:
        """Bytes of REAL."""
        return 8 if dict(self.macros)["REAL"] == "double" else 4

    def text(self) -> str:
        """Return the file with each `#include "…"` inlined once; macros in an included path are expanded."""
        return _text(self)

    def options(self) -> tuple[str, ...]:
        """Return the NVRTC options. No --use_fast_math: it would undo the numerically stable formulas."""
        return ("-std=c++17", *(f"-D{name}={value}" for name, value in self.macros))

    def signatures(self) -> dict[str, Signature]:
        """Return the parameters of each kernel in the file."""
        return _signatures(self)


def signatures(text: str, macros: Mapping[str, str] | None = None) -> dict[str, Signature]:
    """Return the parameters of each `extern "C" __global__ void` function in a text, macros in types expanded."""
    found: dict[str, Signature] = {}
    for name, parameters in KERNEL.findall(COMMENT.sub(" ", text)):
        if name in found:
            raise TypeError(f"kernel {name} is defined twice")
        found[name] = tuple(
            _parameter(_replaced(part, macros or {}), name) for part in parameters.split(",") if part.strip()
        )
    return found


def dtype_of(kind: str) -> np.dtype[Any]:
    """Return the dtype of a parameter's type, or of what it points to."""
    return np.dtype(TYPES[kind.removesuffix("*")])


def type_of(dtype: str) -> str:
    """Return the parameter type for numbers of that dtype."""
    return next(kind for kind, name in TYPES.items() if name == dtype)


@cache
def shipped() -> tuple[Source, ...]:
    """Return every variant that ships, for tests to compile and run."""
    launchers = [f"_cuda.{name}" for name in ("activations", "losses", "metrics", "metric_sums", "outputs", "strips")]
    launchers += [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in sorted(ROOT.glob("**/gpu.py"))]
    found = [importlib.import_module(f"dnnkit.kernels.{launcher}").sources() for launcher in launchers]
    return tuple(dict.fromkeys(source for sources in found for source in sources))


@cache
def _signatures(source: Source) -> dict[str, Signature]:
    return signatures(source.text(), dict(source.macros))


@cache
def _text(source: Source) -> str:
    return "\n".join(_lines(source.file, dict(source.macros), set())) + "\n"


def _lines(file: str, macros: Mapping[str, str], seen: set[str]) -> Iterator[str]:
    """Yield the file's lines, with `#line` directives so that compiler messages name the right file."""
    seen.add(file)
    yield f'#line 1 "{file}"'
    runtime = runtime_versions(file.split("/")[-2]) if "/" in file else None
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
    """Return (type, name) of a parameter declaration."""
    *words, name = QUALIFIER.sub(" ", text).replace("*", " * ").split()
    kind = " ".join(words).replace(" *", "*")
    if kind.removesuffix("*") not in TYPES:
        raise TypeError(f"kernel {kernel}: the type of {text.strip()!r} is none of {', '.join(TYPES)} or a pointer")
    return kind, name
