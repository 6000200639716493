"""Dropout on the GPU. Contract: the package's docstring."""

from numbers import Integral
from typing import Any

from dnnkit.kernels._cuda.launch import THREADS, blocks, contiguous, launch
from dnnkit.kernels._cuda.source import REALS, Source
from dnnkit.kernels.array import Array
from dnnkit.kernels.dropout import PURPOSE, Draw


def sources() -> list[Source]:
    """Return every variant that ships."""
    return [Source.of("dropout/mask.cu"), *(Source.of("dropout/gpu.cu", dtype) for dtype in REALS)]


def mask(start: int, count: int, rate: float, seed: int, layer: int, step: int | Array, out: Array) -> None:
    """Write which of the elements start … start + count - 1 are kept to out, bool, `count` elements in any shape."""
    if count == 0:
        return
    arguments = {
        "start": start,
        "count": count,
        **_words(Draw(rate, seed, layer, step)),
        "out": out,
    }
    launch(Source.of("dropout/mask.cu"), "dropout_mask", blocks(count, 4 * THREADS), THREADS, arguments)


def apply(x: Array, keep: Array, rate: float, out: Array) -> None:
    """Write x / (1 - rate) where kept, else 0, to out, which may be x. The backward pass is the same function of dy."""
    if x.size == 0:
        return
    arrays = {"x": contiguous(x), "keep": contiguous(keep), "y": out}
    arguments = {**arrays, "factor": 1 / (1 - rate), "count": x.size}
    source = Source.of("dropout/gpu.cu", x.dtype.name)
    launch(source, "dropout_apply", blocks(x.nbytes, 16 * THREADS), THREADS, arguments)


def draw(x: Array, dropout: Draw, out: Array) -> None:
    """As `apply`, drawing the kept elements on the fly, without a mask."""
    if x.size == 0:
        return
    arguments = {"x": contiguous(x), **numbers(dropout), "y": out, "count": x.size}
    source = Source.of("dropout/gpu.cu", x.dtype.name)
    launch(source, "dropout_draw", blocks(x.nbytes, 16 * THREADS), THREADS, arguments)


def numbers(dropout: Draw | None) -> dict[str, Any]:
    """Return the dropout arguments of a kernel that draws on the fly; without dropout, they disable it."""
    draw = dropout or Draw(0.0, 0, 0, 0)
    return {**_words(draw), "factor": 1 / (1 - draw.rate)}


def _words(draw: Draw) -> dict[str, Any]:
    """The step may be a clock on the GPU (`_cuda/clock.cu`) that holds it."""
    step, clock = (draw.step, None) if isinstance(draw.step, Integral) else (0, draw.step)
    threshold = int(draw.rate * 2.0**32)
    words = {"threshold": threshold, "seed": draw.seed, "purpose": PURPOSE, "layer": draw.layer}
    return {**words, "step": step, "clock": clock}
