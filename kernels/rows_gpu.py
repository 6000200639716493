"""What every launcher does whose kernel shares a row among a group of threads and sums over the rows of a batch."""

from typing import Any

from dnnkit.kernels import cuda
from dnnkit.kernels.array import Array
from dnnkit.kernels.cuda import REALS, Source

PASSES = 4
"""Groups of rows that a block takes one after the other before another block is worth its part of the sum."""


def group_size(columns: int) -> int:
    """Threads that share a row: the fewest that have one for every column, at most a warp."""
    return cuda.power_of_two(columns, 32)


def loss_sources(name: str) -> list[Source]:
    """A loss kernel's source in each dtype."""
    return [_loss_source(name, dtype) for dtype in REALS]


def loss_and_gradient(
    name: str,
    scores: Array,
    targets: Array,
    weights: Array | None,
    scale: float,
    out: Array,
    loss: Array,
    scratch: Array | None,
) -> None:
    """Weighted sum of the rows' losses to loss, float64 of one element; `scale` times its gradient to out (B, K)."""
    kind = "labels" if targets.ndim == 1 else "values"
    arguments = {
        "scores": cuda.contiguous(scores),
        "targets": cuda.contiguous(targets),
        "weights": None if weights is None else cuda.contiguous(weights),
        "scale": scale,
        "out": out,
    }
    sum_over_rows(_loss_source(name, scores.dtype.name), f"loss_of_{kind}", scores, arguments, loss, scratch)


def sum_over_rows(
    source: Source, kernel: str, rows: Array, arguments: dict[str, Any], total: Array, scratch: Array | None
) -> None:
    """Launch a kernel that leaves each block's sum over its rows of (B, K), and add them up to total."""
    count, columns = rows.shape
    group = group_size(columns)
    parts = cuda.blocks(count, PASSES * (cuda.THREADS // group), cuda.PARTIALS)
    if parts == 1:
        scratch = total
    elif scratch is None:
        scratch = cuda.empty(cuda.PARTIALS, "float64")
    sizes = {"rows": count, "columns": columns, "group": group}
    cuda.launch(source, kernel, parts, cuda.THREADS, {**arguments, "parts": scratch, **sizes})
    if parts > 1:
        cuda.launch(source, "sum_parts", 1, cuda.THREADS, {"parts": scratch, "total": total, "count": parts})


def _loss_source(name: str, dtype: str) -> Source:
    return Source.of("loss.cu", dtype, LOSS=name)
