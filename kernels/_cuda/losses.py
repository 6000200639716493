"""Losses on the GPU by their names, each one pass over memory with its gradient, and a metric where one is wanted.

A loss's `gpu.cu` says what happens to one row; `loss.cu` does it to the rows of a batch, `loss_of_labels.cu` also to
those with class labels.
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
    """Every variant that ships."""
    names = [name for name in registry.names("loss") if registry.has_gpu_version(name)]
    measured = [(name, None) for name in names] + with_metric()
    return variants(source(name, dtype, metric) for name, metric in measured for dtype in REALS)


def with_metric() -> list[tuple[str, str]]:
    """Losses with a metric in their launch: any goes with any; these are each metric once, for tests.

    The losses are one that takes labels and one that does not, in turns.
    """
    names = [name for name in registry.names("loss") if registry.has_gpu_version(name)]
    kinds = [next(name for name in names if registry.loss(name).takes_labels is labels) for labels in (True, False)]
    return list(zip(cycle(kinds), metrics.names(), strict=False))


@cache
def source(name: str, dtype: str, metric: str | None = None) -> Source:
    """A loss's kernels, with a metric or without."""
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
    """Weighted sum of the rows' losses to total, float64 of one element; `scale` times its gradient to out (B, K).

    `scratch` is float64 of `launch.PARTIALS` elements, allocated here if it is not given. Where there are `numbers` of
    a step, in the dtype of scores, the first is the scale.
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
    """The loss of a training step that `gather.gather_batch` has begun, and its gradient to out (B, K).

    Arguments:
        loss: by its kernel.
        metric: the name of one that is summed in the same pass, on the same scores, and its threshold.
        scores: (B, K).
        targets: labels (B,) or values (B, K).
        weights: of the rows, (B,).
        out: memory for the gradient.
        numbers: those of the step, in the dtype of scores; the first is the gradient's scale.
        clock: int64 (4,), see `clock.cu`; the step is over.
        totals: float64, running sums, of the loss and then of the metric: those of the step are added.
        scratch: as above.
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
