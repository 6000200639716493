"""Interpolation on the GPU. Contract: the package's docstring. out may be x."""

from dnnkit.kernels._cuda.launch import THREADS, blocks, contiguous, launch
from dnnkit.kernels._cuda.source import REALS, Source
from dnnkit.kernels.array import Array


def sources() -> list[Source]:
    """Return every variant that ships."""
    return [Source.of("interpolate/gpu.cu", dtype) for dtype in REALS]


def interpolate(x: Array, y: Array, share: float, out: Array) -> None:
    """Write (1 - share) x + share y to out."""
    if x.size == 0:
        return
    arguments = {"x": contiguous(x), "y": contiguous(y), "share": share, "out": out, "count": x.size}
    source = Source.of("interpolate/gpu.cu", x.dtype.name)
    launch(source, "interpolate", blocks(x.nbytes, 16 * THREADS), THREADS, arguments)
