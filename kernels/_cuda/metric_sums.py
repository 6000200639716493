"""Metrics of several sums on the GPU by name: one launch for all sums. Their formulas are in `gpu.cu`."""

from dnnkit.kernels import registry
from dnnkit.kernels._cuda.launch import PARTIALS, THREADS, blocks, contiguous, counted, empty, launch, power_of_two
from dnnkit.kernels._cuda.rows import AS_STREAMS, WARP
from dnnkit.kernels._cuda.source import REALS, Source
from dnnkit.kernels.array import Array

ROWS = 64
"""Minimum number of rows per block, below which another partial sum does not pay."""


def names() -> list[str]:
    """Return the metrics that have several sums and a CUDA version."""
    several = [name for name in registry.names("metric") if registry.metric(name).count is not None]
    return [name for name in several if registry.has_gpu_version(name)]


def source(name: str, dtype: str) -> Source:
    """Return a metric's source for a dtype."""
    return Source.of("_cuda/metric_sums.cu", dtype, METRIC=name, ROWS=AS_STREAMS)


def sources() -> list[Source]:
    """Return every variant that ships."""
    return [source(name, dtype) for name in names() for dtype in REALS]


def totals(
    name: str,
    scores: Array,
    targets: Array,
    weights: Array | None,
    threshold: float,
    out: Array,
    scratch: Array | None = None,
    adds: bool = False,
) -> None:
    """Write the weighted sums over rows to out, float64 (S,), or add them to it.

    `scratch` is float64 of `scratch_size(rows, S)` elements, allocated here if it is not given.
    """
    (rows, columns), count = scores.shape, out.size
    parts = _parts(rows, count)
    if parts > 1 and scratch is None:
        scratch = empty(scratch_size(rows, count), "float64")
    arguments = {
        "scores": contiguous(scores),
        "targets": contiguous(targets, "int64" if targets.ndim == 1 else scores.dtype),
        "weights": None if weights is None else contiguous(weights, scores.dtype),
        "threshold": threshold,
        "parts": scratch if parts > 1 else None,
        "totals": out,
        "adds": adds,
        "rows": rows,
        "columns": columns,
        "count": count,
        "rows_per_block": -(-rows // parts),
        "group": power_of_two(counted(columns), WARP),
    }
    own = source(name, scores.dtype.name)
    kernel = f"sums_of_{'labels' if targets.ndim == 1 else 'values'}"
    launch(own, kernel, (parts, -(-count // THREADS)), THREADS, arguments)
    if parts > 1:
        added = {"parts": scratch, "totals": out, "adds": adds, "count": count, "blocks": parts}
        launch(own, "add_parts", -(-count // THREADS), THREADS, added)


def scratch_size(rows: int, count: int) -> int:
    """Return the size of the scratch memory for a batch of `rows` rows."""
    return _parts(rows, count) * count


def _parts(rows: int, count: int) -> int:
    """Return the number of blocks that share the rows: fewer with many sums, which occupy the GPU and take memory."""
    return blocks(rows, ROWS, max(1, PARTIALS * 64 // count))
