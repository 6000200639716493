"""Accuracy on the GPU. Contract: the package's docstring.

`out` is float64 of one element; `scratch` is float64 of `launch.PARTIALS` elements, allocated here if it is not given.
"""

from typing import Any

from dnnkit.kernels._cuda.launch import contiguous
from dnnkit.kernels._cuda.rows import sum_over_rows
from dnnkit.kernels._cuda.source import REALS, Source
from dnnkit.kernels.array import Array


def sources() -> list[Source]:
    """Every variant that ships."""
    return [Source.of("accuracy/gpu.cu", dtype) for dtype in REALS]


def categorical(scores: Array, targets: Array, weights: Array | None, out: Array, scratch: Array | None = None) -> None:
    """Weighted number of rows whose largest score is that of their class, to out."""
    _measure("categorical", scores, targets, weights, {}, out, scratch)


def binary(
    scores: Array, targets: Array, weights: Array | None, threshold: float, out: Array, scratch: Array | None = None
) -> None:
    """Weighted share of outputs on the right side of the threshold, summed over rows, to out."""
    _measure("binary", scores, targets, weights, {"threshold": threshold}, out, scratch)


def _measure(
    name: str,
    scores: Array,
    targets: Array,
    weights: Array | None,
    numbers: dict[str, Any],
    out: Array,
    scratch: Array | None,
) -> None:
    arguments = {"scores": contiguous(scores), **numbers}
    kernel = f"{name}_of_{'labels' if targets.ndim == 1 else 'values'}"
    source = Source.of("accuracy/gpu.cu", scores.dtype.name)
    sum_over_rows(source, kernel, scores, targets, weights, arguments, out, scratch)
