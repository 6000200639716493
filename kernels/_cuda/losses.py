"""Losses on the GPU by name, with their gradient and optionally a metric, in one pass over memory.

The `gpu.cu` of a loss defines the loss of one row; `loss.cu` applies it to the rows of a batch, `loss_of_labels.cu`
also to batches with class labels.
"""

from functools import cache
from itertools import cycle
from typing import Any

from dnnkit.errors import ShapeError
from dnnkit.kernels import registry
from dnnkit.kernels._cuda import metrics
from dnnkit.kernels._cuda.launch import contiguous
from dnnkit.kernels._cuda.rows import sum_over_rows, variants
from dnnkit.kernels._cuda.source import REALS, Source
from dnnkit.kernels.array import Array
from dnnkit.kernels.registry import Loss


def sources() -> list[Source]:
    """Return every variant that ships."""
    names = [name for name in registry.names("loss") if registry.has_gpu_version(name)]
    measured = [(name, None) for name in names] + with_metric()
    return variants(source(name, dtype, metric) for name, metric in measured for dtype in REALS)


def with_metric() -> list[tuple[str, str]]:
    """Return losses paired with the metric in their launch. Any pair works; these have each metric once, for tests.

    They alternate between a loss that takes labels and one that does not.
    """
    names = [name for name in registry.names("loss") if registry.has_gpu_version(name)]
    kinds = [next(name for name in names if registry.loss(name).takes_labels is labels) for labels in (True, False)]
    return list(zip(cycle(kinds), metrics.names(), strict=False))


@cache
def source(name: str, dtype: str, metric: str | None = None) -> Source:
    """Return the kernels of a loss, with or without a metric."""
    file = "_cuda/loss_of_labels.cu" if registry.loss(name).takes_labels else "_cuda/loss.cu"
    measured = {"MEASURES": "loss_alone"} if metric is None else {"MEASURES": "with_metric", "METRIC": metric}
    return Source.of(file, dtype, LOSS=name, **measured)


def loss_and_gradient(
    loss: Loss,
    scores: Array,
    targets: Array,
    weights: Array | None,
    scale: float,
    out: Array,
    total: Array,
    scratch: Array | None = None,
    numbers: Array | None = None,
) -> None:
    """Write the weighted sum of the rows' losses to total, and `scale` times its gradient to out (B, K).

    `total` is one float64 element. `scratch` is float64 of `launch.PARTIALS` elements, allocated here if it is not
    given. If the `numbers` of a step are given, in the dtype of scores, the first is the scale.
    """
    _launch(loss, None, scores, targets, weights, {"scale": scale, "numbers": numbers, "out": out}, total, scratch)


def end_step(
    loss: Loss,
    metric: tuple[str, float] | None,
    scores: Array,
    targets: Array,
    weights: Array | None,
    out: Array,
    numbers: Array,
    clock: Array,
    totals: Array,
    scratch: Array | None = None,
) -> None:
    """Compute the loss of a training step that `gather.gather_batch` began, and write its gradient to out (B, K).

    Arguments:
        loss: the loss, with its kernel.
        metric: name and threshold of a metric to sum in the same pass, on the same scores.
        scores: (B, K).
        targets: labels (B,) or values (B, K).
        weights: row weights, (B,).
        out: array for the gradient.
        numbers: numbers of the step, in the dtype of scores; the first is the gradient's scale.
        clock: int64 (4,), see `clock.cu`; it advances to the next step.
        totals: float64, running sums of the loss and then of the metric, to which the step's are added.
        scratch: as in `loss_and_gradient`.
    """
    given = {"scale": 1.0, "numbers": numbers, "out": out}
    _launch(loss, metric, scores, targets, weights, given, totals, scratch, adds=True, clock=clock)


def _launch(
    loss: Loss,
    metric: tuple[str, float] | None,
    scores: Array,
    targets: Array,
    weights: Array | None,
    arguments: dict[str, Any],
    totals: Array,
    scratch: Array | None,
    adds: bool = False,
    clock: Array | None = None,
) -> None:
    labels = loss.takes_labels and targets.ndim == 1
    if targets.shape != (scores.shape[:1] if labels else scores.shape):
        raise ShapeError(f"{loss.name}: targets of shape {targets.shape} for scores of shape {scores.shape}")
    name, threshold = metric or (None, 0.0)
    arguments = {**arguments, "scores": contiguous(scores), "threshold": threshold, "clock": clock}
    kernel, of = "loss_of_labels" if labels else "loss_of_values", source(loss.name, scores.dtype.name, name)
    sums = 1 if name is None else 2
    sum_over_rows(of, kernel, scores, targets, weights, arguments, totals, scratch, sums, adds, clock)
