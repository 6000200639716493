"""Dropout on the GPU. Contract: the package's docstring."""

from dnnkit.kernels._cuda.launch import THREADS, blocks, contiguous, launch
from dnnkit.kernels._cuda.source import REALS, Source
from dnnkit.kernels.array import Array
from dnnkit.kernels.dropout import PURPOSE


def sources() -> list[Source]:
    """Every variant that ships."""
    return [Source.of("dropout/mask.cu"), *(Source.of("dropout/gpu.cu", dtype) for dtype in REALS)]


def mask(
    start: int, count: int, rate: float, seed: int, layer: int, step: int, out: Array, clock: Array | None = None
) -> None:
    """Which of the elements start … start + count - 1 are kept, to out bool, of `count` elements in any shape.

    With a clock (`_cuda/clock.cu`), the step is what that says.
    """
    if count == 0:
        return
    arguments = {
        "start": start,
        "count": count,
        "threshold": int(rate * 2.0**32),
        "seed": seed,
        "purpose": PURPOSE,
        "layer": layer,
        "step": step,
        "clock": clock,
        "out": out,
    }
    launch(Source.of("dropout/mask.cu"), "dropout_mask", blocks(count, 4 * THREADS), THREADS, arguments)


def apply(x: Array, keep: Array, rate: float, out: Array) -> None:
    """x where kept, scaled by 1 / (1 - rate), else 0, to out, which may be x. Also the backward pass, on dy."""
    if x.size == 0:
        return
    arrays = {"x": contiguous(x), "keep": contiguous(keep), "y": out}
    arguments = {**arrays, "factor": 1 / (1 - rate), "count": x.size}
    source = Source.of("dropout/gpu.cu", x.dtype.name)
    launch(source, "dropout_apply", blocks(x.nbytes, 16 * THREADS), THREADS, arguments)
