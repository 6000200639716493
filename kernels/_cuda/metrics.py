"""Metrics on the GPU by their names, one pass over scores and targets. What a row's value is stands in `gpu.cu`."""

from dnnkit.kernels import registry
from dnnkit.kernels._cuda.launch import contiguous
from dnnkit.kernels._cuda.rows import sum_over_rows, variants
from dnnkit.kernels._cuda.source import REALS, Source
from dnnkit.kernels.array import Array


def source(name: str, dtype: str) -> Source:
    """The metric in that dtype."""
    return Source.of("_cuda/metric.cu", dtype, METRIC=name)


def sources() -> list[Source]:
    """Every variant that ships."""
    names = [name for name in registry.names("metric") if registry.has_gpu_version(name)]
    return variants(source(name, dtype) for name in names for dtype in REALS)


def total(
    name: str,
    scores: Array,
    targets: Array,
    weights: Array | None,
    threshold: float,
    out: Array,
    scratch: Array | None = None,
    adds: bool = False,
) -> None:
    """Weighted sum of the rows' values to out, float64 of one element, or added to it.

    `scratch` is float64 of `launch.PARTIALS` elements, allocated here if it is not given.
    """
    arguments = {"scores": contiguous(scores), "threshold": threshold}
    kernel = f"metric_of_{'labels' if targets.ndim == 1 else 'values'}"
    of = source(name, scores.dtype.name)
    sum_over_rows(of, kernel, scores, targets, weights, arguments, out, scratch, adds=adds)
