"""Metrics of one sum on the GPU by name, in one pass. `gpu.cu` defines the value of a row."""

from dnnkit.kernels import registry
from dnnkit.kernels._cuda.launch import contiguous
from dnnkit.kernels._cuda.rows import sum_over_rows, variants
from dnnkit.kernels._cuda.source import REALS, Source
from dnnkit.kernels.array import Array


def source(name: str, dtype: str) -> Source:
    """Return a metric's source for a dtype."""
    return Source.of("_cuda/metric.cu", dtype, METRIC=name)


def sources() -> list[Source]:
    """Return every variant that ships."""
    return variants(source(name, dtype) for name in names() for dtype in REALS)


def names() -> list[str]:
    """Return the metrics that have one sum and a CUDA version."""
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
    """Write the weighted sum of the rows' values to out, one float64 element, or add it.

    `scratch` is float64 of `launch.PARTIALS` elements, allocated here if it is not given.
    """
    arguments = {"scores": contiguous(scores), "threshold": threshold}
    kernel = f"metric_of_{'labels' if targets.ndim == 1 else 'values'}"
    of = source(name, scores.dtype.name)
    sum_over_rows(of, kernel, scores, targets, weights, arguments, out, scratch, adds=adds)
