"""Gradient clipping on the GPU. Contract: the package's docstring.

`scratch` is float64 of `launch.PARTIALS` + 1 elements, allocated here if it is not given. out may be x.
"""

from dnnkit.kernels._cuda.launch import PARTIALS, THREADS, blocks, contiguous, empty, launch
from dnnkit.kernels._cuda.rows import sum_parts
from dnnkit.kernels._cuda.source import REALS, Source
from dnnkit.kernels.array import Array

PACKS_OF_THREAD = 4
"""Minimum number of 16-byte packs per thread, below which another partial sum does not pay."""


def sources() -> list[Source]:
    """Return every variant that ships."""
    return [Source.of("clip_norm/gpu.cu", dtype) for dtype in REALS]


def clip_norm(x: Array, bound: float, out: Array, scratch: Array | None = None) -> None:
    """Write x to out, scaled down to the Euclidean norm `bound` if its norm is larger."""
    if x.size == 0:
        return
    x = contiguous(x)
    source = Source.of("clip_norm/gpu.cu", x.dtype.name)
    scratch = empty(PARTIALS + 1, "float64") if scratch is None else scratch
    parts = blocks(x.nbytes, 16 * THREADS * PACKS_OF_THREAD, PARTIALS)
    squares = scratch[PARTIALS:]
    first = squares if parts == 1 else scratch
    launch(source, "sum_squares", parts, THREADS, {"x": x, "parts": first, "count": x.size})
    if parts > 1:
        sum_parts(source, scratch, parts, squares)
    arguments = {"x": x, "squares": squares, "bound": bound, "y": out, "count": x.size}
    launch(source, "scale_to_norm", blocks(x.nbytes, 16 * THREADS), THREADS, arguments)


def clip_value(x: Array, bound: float, out: Array) -> None:
    """Write x to out with each element clamped to [-bound, bound]."""
    if x.size == 0:
        return
    arguments = {"x": contiguous(x), "bound": bound, "y": out, "count": x.size}
    source = Source.of("clip_norm/gpu.cu", x.dtype.name)
    launch(source, "clip_value", blocks(x.nbytes, 16 * THREADS), THREADS, arguments)
