"""Metrics: what is reported beside the loss. Means over rows, weighted like the loss."""

from collections.abc import Callable
from typing import Any

from dnnkit.backends.program import Loss, Metric
from dnnkit.errors import UnknownName
from dnnkit.kernels import registry as kernels
from dnnkit.registry import Registry, unknown

CHOSEN_BY_LOSS = "accuracy"
"""The name that stands for the accuracy that suits the loss."""

SYNONYMS = {"sparse_categorical_accuracy": "categorical_accuracy"}
"""Other names of metric kernels: categorical accuracy takes labels as well as rows."""


def _built_in() -> tuple[str, ...]:
    return (CHOSEN_BY_LOSS, *kernels.names("metric"), *SYNONYMS)


METRICS: Registry[Callable[..., Any]] = Registry(
    "metric", "a function (xp, targets, predictions) of one value per row", callable, elsewhere=_built_in
)
"""Metrics that were registered; the built-in ones are `kernels/metrics`."""


def lower(metric: str | Callable[..., Any], loss: Loss, outputs: int) -> Metric:
    """The metric as backends see it.

    "accuracy" is categorical for class labels and for several outputs, except under a binary cross-entropy. Your own
    metric is a function `(xp, targets, predictions) -> one value per row`; its `__name__` is what History calls it.
    """
    if callable(metric):
        return Metric(name_of(metric), metric)
    if metric not in METRICS.names():
        raise UnknownName(f"{unknown('metric', metric, METRICS.names())}, or pass a function")
    if metric in METRICS:
        return Metric(metric, METRICS[metric])
    kernel = kernels.loss(loss.kernel) if isinstance(loss.kernel, str) else None
    is_binary = kernel is not None and kernel.outputs == "binary"
    measured = SYNONYMS.get(metric, metric)
    if metric == CHOSEN_BY_LOSS:
        categorical = loss.targets == "labels" or (outputs > 1 and not is_binary)
        measured = "categorical_accuracy" if categorical else "binary_accuracy"
    on_logits = kernel is not None and is_binary and kernel.scores == "logits"
    return Metric(metric, measured, threshold=0.0 if on_logits else 0.5)


def name_of(metric: str | Callable[..., Any]) -> str:
    """What History and a save call it."""
    return metric if isinstance(metric, str) else getattr(metric, "__name__", type(metric).__name__)
