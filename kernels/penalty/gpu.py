"""Weight penalties on the GPU. Contract: the package's docstring."""

from dnnkit.kernels._cuda.launch import PARTIALS, THREADS, blocks, launch
from dnnkit.kernels._cuda.rows import sum_parts
from dnnkit.kernels._cuda.source import REALS, Source
from dnnkit.kernels.array import Array

PACKS_OF_THREAD = 4
"""Minimum number of 16-byte packs per thread, below which another partial sum does not pay."""


def sources() -> list[Source]:
    """Return every variant that ships."""
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
    """Write the penalty times the factor to total, one float64 element, or add it.

    Arguments:
        w: parameters, flat; l1 and l2 have the same shape.
        l1: l1 factor of each parameter.
        l2: l2 factor of each parameter.
        total: float64 of one element.
        scratch: float64 of `launch.PARTIALS` elements.
        factor: factor of the penalty.
        numbers: numbers of a training step, in the dtype of w, if the factor is one of them.
        place: index of the factor in `numbers`.
        adds: whether to add to `total` instead of overwriting it.
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
