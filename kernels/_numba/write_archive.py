"""Rebuild the archive of bitcode after a change to a kernel.

    python -m dnnkit.kernels._numba.write_archive

It takes a minute on two processors. A test fails while the archive does not match the sources.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import llvmlite.binding

from dnnkit.kernels._native import archive
from dnnkit.kernels._native.fingerprint import ROOT, meaning_of, sources_of
from dnnkit.kernels._native.functions import SHARED, Function, function_of_symbol
from dnnkit.kernels._numba import entry_points
from dnnkit.kernels._target import processor
from dnnkit.kernels._target.llvm import triple

DTYPES = "float32", "float64"
SOURCES = "uint8", "float32", "float64"
"""Dtypes of input data."""


def functions(dtype: str) -> Iterator[Function]:
    """Yield all built-in functions in a dtype, except those that are called by symbol."""
    from dnnkit.kernels import registry
    from dnnkit.kernels._engine import calls, opcodes
    from dnnkit.kernels.optimizer_step.reference import RULES

    yield from (opcodes.function_of(name, dtype) for name in opcodes.opcodes())
    yield from (calls.function_of(name, dtype) for name in calls.DEFINED_IN)
    kernels = [make(dtype) for make in (entry_points.dense_entry_points, entry_points.dropout_entry_points)]
    kernels += [entry_points.slope_entry_points(dtype), entry_points.interpolate_entry_points(dtype)]
    kernels += [entry_points.gather_entry_points(source, dtype) for source in SOURCES]
    kernels += [entry_points.mark_entry_points(source) for source in SOURCES]
    for name in filter(registry.has_cpu_version, registry.names("activation")):
        kernels.append(entry_points.activation_entry_points(name, dtype))
    for name in filter(registry.has_cpu_version, registry.names("loss")):
        kinds = ("values", "labels") if registry.loss(name).takes_labels else ("values",)
        kernels += [entry_points.loss_entry_points(name, kind, dtype) for kind in kinds]
    for name in filter(registry.has_cpu_version, registry.names("metric")):
        kernels += [entry_points.metric_entry_points(name, kind, dtype) for kind in ("values", "labels")]
    kernels += [entry_points.optimizer_entry_points(name, dtype) for name in RULES]
    yield from (one for points in kernels for one in points.functions.values() if one.dtype == dtype)


def bitcode(dtype: str) -> dict[str, archive.Bitcode]:
    """Compile all functions of a dtype, by name."""
    made: dict[str, archive.Bitcode] = {}
    left = list(functions(dtype))
    while left:
        function = left.pop()
        if function.name not in made:
            made[function.name] = code = function.make(function.symbol)
            left += [function_of_symbol(symbol) for symbol in code.needs if symbol.startswith(SHARED)]
    return dict(sorted(made.items()))


def main(*given: str) -> None:
    """Write one file of the archive, for the given level and dtype; all files by default."""
    if given:
        level, dtype = given
        processor.assume(level)
        archive.write(dtype, level, bitcode(dtype))
        return
    about: dict[str, Any] = {
        "sources": sources_of(ROOT),
        "meaning": meaning_of(ROOT),
        "triple": triple(),
        "llvm": llvmlite.binding.llvm_version_info[0],
        "makers": {name: version(name) for name in ("numba", "llvmlite")} | {"python": sys.version.split()[0]},
    }
    for dtype in DTYPES:
        command = [sys.executable, "-m", __spec__.name]
        both = [subprocess.Popen([*command, level, dtype]) for level in processor.LEVELS]
        if any([process.wait() for process in both]):
            sys.exit(1)
    about["names"] = sorted({one.name for dtype in DTYPES for one in functions(dtype)})
    archive.ABOUT.write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
