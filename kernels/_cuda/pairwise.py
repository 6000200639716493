"""Elementwise combination of two values, as a kind of stage defines in its `gpu.cu`."""

from collections.abc import Sequence

from dnnkit.kernels._cuda.launch import THREADS, blocks, contiguous, launch
from dnnkit.kernels._cuda.source import REALS, Source
from dnnkit.kernels._cuda.strips import Memory
from dnnkit.kernels.array import Array


def sources(kind: str) -> list[Source]:
    """Return every variant that ships."""
    return [Source.of("_cuda/pairwise.cu", dtype, KIND=kind) for dtype in REALS]


def combine(kind: str, a: Array, b: Array, out: Array) -> None:
    """Combine a and b into out, which may be either."""
    if out.size == 0:
        return
    arguments = {"a": contiguous(a), "b": contiguous(b), "y": out, "count": out.size}
    source = Source.of("_cuda/pairwise.cu", out.dtype.name, KIND=kind)
    launch(source, "pairwise", blocks(out.nbytes, 16 * THREADS), THREADS, arguments)


def combine_all(kind: str, xs: Sequence[Array], memory: Memory) -> Array:
    """Combine all values from left to right; a single value is returned as is."""
    if len(xs) == 1:
        return xs[0]
    y = memory("y", xs[0].shape)
    combine(kind, xs[0], xs[1], y)
    for x in xs[2:]:
        combine(kind, y, x, y)
    return y
