"""Softmax on the GPU, along the last axis. Contract: the package's docstring."""

from math import prod

from dnnkit.kernels._cuda.launch import THREADS, blocks, contiguous, launch
from dnnkit.kernels._cuda.rows import Division, variants
from dnnkit.kernels._cuda.source import REALS, Source
from dnnkit.kernels.array import Array


def sources() -> list[Source]:
    """Return every variant that ships."""
    return variants(Source.of("activations/softmax/gpu.cu", dtype) for dtype in REALS)


def forward(x: Array, out: Array, b: Array | None = None) -> None:
    """Write the softmax of x (..., C), or of x + b with b (C,), to out, which may be x."""
    bias = None if b is None else contiguous(b)
    _launch("softmax_forward", x, {"x": contiguous(x), "b": bias, "y": out}, matrices=1)


def backward(dy: Array, y: Array, out: Array) -> None:
    """Write y (dy - Σ y dy) to out, which may be dy."""
    _launch("softmax_backward", dy, {"dy": contiguous(dy), "y": contiguous(y), "dx": out}, matrices=2)


def _launch(kernel: str, x: Array, arrays: dict[str, Array | None], matrices: int) -> None:
    if x.size == 0:
        return
    rows, columns = prod(x.shape[:-1]), x.shape[-1]
    source = Source.of("activations/softmax/gpu.cu", x.dtype.name)
    division = Division.of(source, columns)
    sizes = {"rows": rows, "columns": columns, "group": division.group}
    source = source.having(ROWS=division.rows)
    launch(source, kernel, blocks(rows, division.at_once), THREADS, {**arrays, **sizes}, matrices * division.tile)
