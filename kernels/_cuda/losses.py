"""Losses on the GPU by their names, each one pass over memory with its gradient.

A loss's `gpu.cu` says what happens to one row; `loss.cu` does it to the rows of a batch, `loss_of_labels.cu` also to
those with class labels.
"""

from functools import cache

from dnnkit.errors import ShapeError
from dnnkit.kernels import registry
from dnnkit.kernels._cuda.launch import contiguous
from dnnkit.kernels._cuda.rows import sum_over_rows, variants
from dnnkit.kernels._cuda.source import REALS, Source
from dnnkit.kernels.array import Array
from dnnkit.kernels.registry import Loss


def sources() -> list[Source]:
    """Every variant that ships."""
    names = [name for name in registry.names("loss") if registry.has_gpu_version(name)]
    return variants(source(name, dtype) for name in names for dtype in REALS)


@cache
def source(name: str, dtype: str) -> Source:
    """A loss's kernels."""
    file = "_cuda/loss_of_labels.cu" if registry.loss(name).takes_labels else "_cuda/loss.cu"
    return Source.of(file, dtype, LOSS=name)


def loss_and_gradient(
    loss: Loss,
    scores: Array,
    targets: Array,
    weights: Array | None,
    scale: float,
    out: Array,
    total: Array,
    scratch: Array | None = None,
) -> None:
    """Weighted sum of the rows' losses to total, float64 of one element; `scale` times its gradient to out (B, K).

    `scratch` is float64 of `launch.PARTIALS` elements, allocated here if it is not given.
    """
    labels = loss.takes_labels and targets.ndim == 1
    if targets.shape != (scores.shape[:1] if labels else scores.shape):
        raise ShapeError(f"{loss.name}: targets of shape {targets.shape} for scores of shape {scores.shape}")
    arguments = {"scores": contiguous(scores), "scale": scale, "out": out}
    kernel = "loss_of_labels" if labels else "loss_of_values"
    sum_over_rows(source(loss.name, scores.dtype.name), kernel, scores, targets, weights, arguments, total, scratch)
