"""What every launcher does whose kernel shares a row among a group of threads and sums over the rows of a batch."""

from dataclasses import dataclass
from typing import Any

from dnnkit.errors import ShapeError
from dnnkit.kernels._cuda import cuda
from dnnkit.kernels._cuda.cuda import REALS, Source
from dnnkit.kernels.array import Array

PASSES = 4
"""Groups of rows that a block takes one after the other before another block is worth its part of the sum."""


@dataclass(frozen=True)
class LossKernel:
    """A loss, and whether its targets may be class labels (B,) as well as rows (B, K)."""

    name: str
    takes_labels: bool = False

    def source(self, dtype: str) -> Source:
        """The loss in that dtype."""
        return Source.of("_cuda/loss_of_labels.cu" if self.takes_labels else "_cuda/loss.cu", dtype, LOSS=self.name)

    def sources(self) -> list[Source]:
        """Every variant that ships."""
        return [self.source(dtype) for dtype in REALS]

    def loss_and_gradient(
        self,
        scores: Array,
        targets: Array,
        weights: Array | None,
        scale: float,
        out: Array,
        loss: Array,
        scratch: Array | None,
    ) -> None:
        """Weighted sum of the rows' losses to loss, float64 of one element; `scale` times its gradient to out."""
        labels = self.takes_labels and targets.ndim == 1
        if targets.shape != (scores.shape[:1] if labels else scores.shape):
            raise ShapeError(f"{self.name}: targets of shape {targets.shape} for scores of shape {scores.shape}")
        arguments = {"scores": cuda.contiguous(scores), "scale": scale, "out": out}
        kernel = "loss_of_labels" if labels else "loss_of_values"
        source = self.source(scores.dtype.name)
        sum_over_rows(source, kernel, scores, targets, weights, arguments, loss, scratch)


def group_size(columns: int) -> int:
    """Threads that share a row: the fewest that have one for every column, at most a warp."""
    return cuda.power_of_two(columns, 32)


def sum_over_rows(
    source: Source,
    kernel: str,
    scores: Array,
    targets: Array,
    weights: Array | None,
    arguments: dict[str, Any],
    total: Array,
    scratch: Array | None,
) -> None:
    """Launch a kernel that leaves each block's sum over its rows of (B, K), and add them up to total."""
    count, columns = scores.shape
    group = group_size(columns)
    parts = cuda.blocks(count, PASSES * (cuda.THREADS // group), cuda.PARTIALS)
    if parts == 1:
        scratch = total
    elif scratch is None:
        scratch = cuda.empty(cuda.PARTIALS, "float64")
    batch = {
        "targets": cuda.contiguous(targets, "int64" if targets.ndim == 1 else scores.dtype),
        "weights": None if weights is None else cuda.contiguous(weights, scores.dtype),
        "parts": scratch,
        "rows": count,
        "columns": columns,
        "group": group,
    }
    cuda.launch(source, kernel, parts, cuda.THREADS, {**arguments, **batch})
    if parts > 1:
        cuda.launch(source, "sum_parts", 1, cuda.THREADS, {"parts": scratch, "total": total, "count": parts})
