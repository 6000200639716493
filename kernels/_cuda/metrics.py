"""Metrics of one sum on the GPU by their names, in one pass. What a row's value is stands in `gpu.cu`."""

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
    return variants(source(name, dtype) for name in names() for dtype in REALS)


def names() -> list[str]:
    """The metrics of one sum that have a CUDA version."""
    one = [name for name in registry.names("metric") if registry.metric(name).count is None]
    return [name for name in one if registry.has_gpu_version(name)]


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
