"""Penalties on the GPU. Contract: the package's docstring."""

from dnnkit.kernels._cuda.launch import PARTIALS, THREADS, blocks, launch
from dnnkit.kernels._cuda.rows import sum_parts
from dnnkit.kernels._cuda.source import REALS, Source
from dnnkit.kernels.array import Array

PACKS_OF_THREAD = 4
"""Packs of 16 bytes that a thread adds up before another block is worth a partial sum of its own."""


def sources() -> list[Source]:
    """Every variant that ships."""
    return [Source.of("penalty/gpu.cu", dtype) for dtype in REALS]


def penalty(
    w: Array,
    l1: Array,
    l2: Array,
    total: Array,
    scratch: Array,
    factor: float = 1.0,
    numbers: Array | None = None,
    place: int = 0,
    adds: bool = False,
) -> None:
    """The penalty times the factor to total, float64 of one element, or added to it.

    Arguments:
        w: flat, as l1 and l2.
        l1: of each number.
        l2: of each number.
        total: float64 of one element.
        scratch: float64 of `launch.PARTIALS` elements.
        factor: what it counts.
        numbers: those of a training step, in the dtype of w, where the factor is among them.
        place: which of them it is.
        adds: whether it is added to what is there.
    """
    parts = blocks(w.nbytes, 16 * THREADS * PACKS_OF_THREAD, PARTIALS)
    source = Source.of("penalty/gpu.cu", w.dtype.name)
    arguments = {"w": w, "l1": l1, "l2": l2, "factor": factor, "numbers": numbers, "place": place}
    sums = {"parts": scratch if parts > 1 else None, "total": total, "adds": adds, "count": w.size}
    launch(source, "penalty", parts, THREADS, {**arguments, **sums})
    if parts > 1:
        sum_parts(source, scratch, parts, total, adds=adds)


def gradient(w: Array, dw: Array, l1: Array, l2: Array) -> None:
    """Add the penalty's gradient to dw."""
    if w.size:
        arguments = {"w": w, "l1": l1, "l2": l2, "dw": dw, "count": w.size}
        source = Source.of("penalty/gpu.cu", w.dtype.name)
        launch(source, "penalty_gradient", blocks(w.nbytes, 16 * THREADS), THREADS, arguments)
